"""OpenCV's dnn."""

import cv2


def version():
    return f"opencv {cv2.__version__}"


def run(path, feeds, outputs):
    net = cv2.dnn.readNetFromONNX(str(path))
    for name, value in feeds.items():
        net.setInput(value, name)
    return list(net.forward(outputs))
