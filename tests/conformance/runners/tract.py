"""tract by its Python package."""

import tract


def version():
    return f"tract {tract.version()}"


def run(path, feeds, outputs):
    model = tract.onnx().load(path)
    names = [model.input_name(k) for k in range(model.input_count())]
    for k, name in enumerate(names):
        short = {"float32": "f32", "float64": "f64", "float16": "f16", "int32": "i32"}[feeds[name].dtype.name]
        model.set_input_fact(k, ",".join([*map(str, feeds[name].shape), short]))
    own = [model.output_name(k) for k in range(model.output_count())]
    found = model.into_model().into_runnable().run([feeds[name] for name in names])
    found = [value.to_numpy() for value in found]
    return [found[own.index(name)] for name in outputs] if set(own) == set(outputs) else found
