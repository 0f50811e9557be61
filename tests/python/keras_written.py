"""Files as Keras writes them, written here from layers of ours: for tests that have h5py and no Keras."""

import io
import json
import zipfile

import gru_rs
import h5py
import numpy as np

LAYERS = {
    "gru": gru_rs.GRU(3, 4, batch_first=True, seed=1),
    "before": gru_rs.GRU(4, 4, batch_first=True, reset_after=False, activation="relu", seed=2),
    "both": gru_rs.LSTM(4, 5, batch_first=True, bidirectional=True, seed=3),
}
X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)


def options(layer, name, **more):
    """A layer's config."""
    own = {"name": name, "units": layer.hidden_size, "use_bias": layer.bias, "return_sequences": True}
    own |= {"activation": layer.activation, "recurrent_activation": layer.recurrent_activation}
    own |= {"reset_after": layer.reset_after} if isinstance(layer, gru_rs.GRU) else {}
    return own | more


def serialized(layer, name):
    """A layer as configs have it."""
    kind = type(layer).__name__
    inner = {
        "module": "keras.layers",
        "class_name": kind,
        "config": options(layer, name),
        "registered_name": None,
    }
    if not layer.bidirectional:
        return inner
    backward = inner | {"config": inner["config"] | {"go_backwards": True}}
    config = {"name": name, "merge_mode": "concat", "layer": inner, "backward_layer": backward}
    return {
        "module": "keras.layers",
        "class_name": "Bidirectional",
        "config": config,
        "registered_name": None,
    }


def config_of(layers=LAYERS):
    """A Sequential's config."""
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "units": 2}}
    inner = [*(serialized(layer, name) for name, layer in layers.items()), dense]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "sequential", "layers": inner}}


def halves(layer):
    """Weights of each direction."""
    (arrays,) = gru_rs.to_keras_weights(layer)
    directions = 2 if layer.bidirectional else 1
    return [arrays[k * len(arrays) // directions :][: len(arrays) // directions] for k in range(directions)]


def weights(layers=LAYERS, **storage):
    """The bytes of a file of weights of Keras 3."""
    data, used = io.BytesIO(), {}
    with h5py.File(data, "w") as file:
        for name, layer in layers.items():
            kind = "bidirectional" if layer.bidirectional else type(layer).__name__.lower()
            count = used[kind] = used.get(kind, -1) + 1
            own = f"layers/{kind}{f'_{count}' if count else ''}"
            file.create_group(f"{own}/vars").attrs["name"] = name
            places = ["forward_layer", "backward_layer"] if layer.bidirectional else [""]
            for place, arrays in zip(places, halves(layer), strict=True):
                for index, array in enumerate(arrays):
                    file.create_dataset(f"{own}/{place}/cell/vars/{index}", data=array, **storage)
        file["layers/dense/vars/0"] = np.ones((10, 2), np.float32)
    return data.getvalue()


def archive(layers=LAYERS, config=None, h5=None, **members):
    """The bytes of a .keras file."""
    data = io.BytesIO()
    text = config if isinstance(config, (str, bytes)) else json.dumps(config or config_of(layers))
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "3.9.0"}))
        file.writestr("config.json", text)
        file.writestr("model.weights.h5", weights(layers) if h5 is None else h5)
        for name, content in members.items():
            file.writestr(name, content)
    return data.getvalue()


def legacy(layers=LAYERS, config=None, version="2.15.0"):
    """The bytes of a .h5 file in the manner of Keras 2."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file.attrs["keras_version"] = version
        text = config if isinstance(config, str) else json.dumps(config or config_of(layers))
        file.attrs["model_config"] = text
        groups = file.create_group("model_weights")
        groups.attrs["keras_version"] = version
        groups.attrs["layer_names"] = [name.encode() for name in layers]
        for name, layer in layers.items():
            names = []
            sides = ["forward_x/", "backward_x/"] if layer.bidirectional else [""]
            for side, arrays in zip(sides, halves(layer), strict=True):
                for role, array in zip(("kernel", "recurrent_kernel", "bias"), arrays, strict=False):
                    names.append(f"{name}/{side}cell/{role}:0")
                    groups[f"{name}/{names[-1]}"] = array
            groups[name].attrs["weight_names"] = [own.encode() for own in names]
    return data.getvalue()


FORMS = {"model.keras": archive, "model.weights.h5": weights, "model.h5": legacy}


def same(found, layers=LAYERS):
    """Whether all layers were read as they were written."""
    pairs = [(found[name].layer, layer) for name, layer in layers.items() if name in found]
    return found.keys() == layers.keys() and all(
        repr(one).partition("seed")[0] == repr(layer).partition("seed")[0]
        and all(map(np.array_equal, gru_rs.to_keras_weights(one)[0], gru_rs.to_keras_weights(layer)[0]))
        for one, layer in pairs
    )
