import re

import numpy as np
import pytest

from ragthrift.models import locate


@pytest.fixture(scope="session")
def cross_encoder(tmp_path_factory):
    """ms-marco-MiniLM-L-12-v2 as a sentence-transformers folder: the weights of the int8 model, as floats again."""
    from safetensors.numpy import save_file
    from transformers import BertConfig, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("ms-marco-MiniLM-L-12-v2")
    home = locate("ms-marco-MiniLM-L-12-v2-int8")
    save_file(weights(home / "model.onnx"), folder / "model.safetensors", metadata={"format": "pt"})
    BertConfig(
        architectures=["BertForSequenceClassification"],
        hidden_size=384,
        intermediate_size=1536,
        num_attention_heads=12,
        num_hidden_layers=12,
        num_labels=1,
    ).save_pretrained(folder)
    words = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "unk", "pad", "mask")}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    PreTrainedTokenizerFast(
        tokenizer_file=str(home / "tokenizer.json"), model_input_names=inputs, model_max_length=512, **words
    ).save_pretrained(folder)
    return str(folder)


def weights(file):
    """The parameters of a dynamically quantised BERT by their names in torch."""
    (graph,) = [value for number, value in fields(memoryview(file.read_bytes())) if number == 7]
    tensors = dict(tensor(value) for number, value in fields(graph) if number == 5)
    floating = re.compile(r"(bert|classifier)\.[\w.]*(weight|bias)$")
    state = {name: array for name, array in tensors.items() if floating.match(name)}
    for name in tensors:
        if name.endswith("_embeddings.weight_quantized"):
            state[name.removesuffix("_quantized")] = floats(tensors, name)
    for inputs, outputs in (matmul for number, value in fields(graph) if number == 1 and (matmul := product(value))):
        name = inputs[1].removesuffix("_quantized")
        if name.startswith("onnx::"):
            name = outputs[0].partition("/MatMul")[0].strip("/").replace("/", ".") + ".weight"
        state[name] = np.ascontiguousarray(floats(tensors, inputs[1]).T)
    return state


def floats(tensors, quantized):
    name = quantized.removesuffix("_quantized")
    zero, scale = float(tensors[f"{name}_zero_point"]), float(tensors[f"{name}_scale"])
    return (tensors[quantized].astype(np.float32) - zero) * scale


def product(node):
    """Inputs and outputs of an integer matrix product, None for any other node."""
    named = {1: [], 2: [], 4: []}
    for number, value in fields(node):
        if number in named:
            named[number].append(bytes(value).decode())
    return (named[1], named[2]) if named[4] == ["MatMulInteger"] else None


def tensor(message):
    kinds = {1: np.float32, 2: np.uint8, 3: np.int8, 7: np.int64}
    shape, kind, name, content = [], 0, "", b""
    for number, value in fields(message):
        if number == 1:
            shape += [value] if isinstance(value, int) else [x for x, _ in numbers(value)]
        elif number == 2:
            kind = value
        elif number == 4:  # floats, packed
            content = bytes(value)
        elif number == 5:  # small integers, packed
            values = [value] if isinstance(value, int) else [x for x, _ in numbers(value)]
            content = np.array([x - (x >> 63 << 64) for x in values], kinds[kind]).tobytes()
        elif number == 8:
            name = bytes(value).decode()
        elif number == 9:
            content = bytes(value)
    return name, np.frombuffer(content, kinds[kind]).reshape(shape)


def fields(message):
    """The (number, value) pairs of a protobuf message: integers as such, anything else as bytes."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        if key & 7 == 0:
            value, at = varint(message, at)
        else:
            size, at = {1: (8, at), 5: (4, at)}.get(key & 7) or varint(message, at)
            value, at = message[at : at + size], at + size
        yield key >> 3, value


def numbers(packed):
    at = 0
    while at < len(packed):
        value, at = varint(packed, at)
        yield value, at


def varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
