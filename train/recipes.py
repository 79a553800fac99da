"""Recipes: everything that decides what a training run does, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgemood.train.augment import Augmentation


@dataclass(frozen=True)
class Recipe:
    """One way to train one network.

    network: a name from `networks.NETWORKS`. optimizer: "adam", at a constant learning rate, or
    "sgd": Nesterov momentum 0.9, `warmup` epochs up to the learning rate, then a cosine to zero.
    weight_decay: decoupled, on kernels only. smoothing: share of a target spread over all
    classes. mixup: alpha of the blend, switched off for the last 15 % of epochs. average: decay
    per step of the weights' exponential moving average, which is what is kept; 0: none. votes:
    weight of a second loss, on the distribution of FER+ votes where the data set has them; the
    outputs that it trains are dropped when the network is folded. distill: share of the loss that
    teachers take over from the label, where a run is given any. coarse: share of the epochs, from
    the first, in which pictures are reduced to `fit.COARSE` pixels, where a step takes 0.6 of the
    time: what is large is learnt first (Tan and Le 2021, arXiv:2104.00298, section 4).
    """

    network: str
    epochs: int
    optimizer: str
    learning_rate: float
    batch: int
    augmentation: Augmentation
    warmup: int = 0
    weight_decay: float = 0.0
    smoothing: float = 0.0
    mixup: float = 0.0
    average: float = 0.0
    votes: float = 0.0
    distill: float = 0.0
    coarse: float = 0.0


# The program that the project grew out of: its optimizer and its generator's augmentation.
SEED = Recipe(
    network="seed",
    epochs=50,
    optimizer="adam",
    learning_rate=1e-3,
    batch=32,
    augmentation=Augmentation(flip=0.5, rotation=10, scale=0.1, shift=4.8, shear=0.1),
)
SMALL = Recipe(
    network="small",
    epochs=150,
    optimizer="sgd",
    learning_rate=0.1,
    batch=128,
    warmup=2,
    weight_decay=2e-3,
    mixup=0.1,
    average=0.998,
    votes=0.5,
    distill=0.6,
    coarse=0.5,
    augmentation=Augmentation(
        flip=0.5, rotation=12, scale=0.15, shift=4, shear=0.1, light=0.3, erase=0.15, damage=0.25
    ),
)
# It has no room for everything: without mixup and erasing it learns the usual faces better.
NANO = replace(
    SMALL,
    network="nano",
    epochs=200,
    weight_decay=5e-4,
    mixup=0.0,
    augmentation=replace(SMALL.augmentation, erase=0.0, damage=0.1),
)
TEACHER = replace(
    SMALL,
    network="teacher",
    epochs=40,
    mixup=0.2,
    distill=0.0,
    coarse=0.0,
    augmentation=replace(SMALL.augmentation, erase=0.25, damage=0.15),
)

# From a plain recipe to NANO's, one thing more at a time, for fewer epochs: what each is worth.
# Each rung has what the one before has, but for mixup, which NANO does without.
_RUNG = 12
_PLAIN = Recipe(
    network="nano",
    epochs=_RUNG,
    optimizer="sgd",
    learning_rate=0.1,
    batch=128,
    warmup=2,
    weight_decay=NANO.weight_decay,
    augmentation=Augmentation(),
)
_VARIED = replace(_PLAIN, augmentation=replace(NANO.augmentation, damage=0.0))
_AVERAGED = replace(_VARIED, average=NANO.average)
_MIXED = replace(_AVERAGED, mixup=0.2)
_VOTED = replace(_AVERAGED, votes=NANO.votes)
_DAMAGED = replace(_VOTED, augmentation=NANO.augmentation)
LADDER = {
    "ladder-1-plain": _PLAIN,
    "ladder-2-varied": _VARIED,
    "ladder-3-averaged": _AVERAGED,
    "ladder-4-mixed": _MIXED,
    "ladder-5-voted": _VOTED,
    "ladder-6-damaged": _DAMAGED,
    "ladder-7-taught": replace(_DAMAGED, distill=NANO.distill),
}

RECIPES = {
    "small": SMALL,
    "nano": NANO,
    "teacher": TEACHER,
    "seed": SEED,
    **LADDER,
}
