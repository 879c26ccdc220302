"""The training runs behind the weights that come with segjax, by name."""

from segjax.quality.ribcage import Network
from segjax.quality.training import Training
from segjax.simulation import perturbations, phantoms
from segjax.simulation.maps import MAPS
from segjax.simulation.pairs import Pairs


_TARGETS = ("SEG", "Dice", "PQ", "neMHD")


def _small(dims: int) -> Network:
    """Half the paper's width, with maps, without losing borders."""
    return Network(
        dims=dims, channels=(16, 32, 64, 128), outputs=_TARGETS, maps=MAPS, padding="SAME"
    )


PRESETS = {
    # All that microscopes and segmenters do to nuclei.
    "nuclei-2d": Training(
        network=_small(2),
        pairs=Pairs(phantoms.WIDE, perturbations.WIDE, _TARGETS, gain=(0.5, 1.2)),
        steps=20_000,
        batch=16,
    ),
    # What the paper does: images like Fluo-N2DH-SIM+, two-stage perturbations.
    "nuclei-2d-paper": Training(
        network=_small(2),
        pairs=Pairs(phantoms.SIM_PLUS, perturbations.PAPER, _TARGETS),
        steps=8_000,
        batch=16,
    ),
    "nuclei-3d": Training(
        network=_small(3),
        pairs=Pairs(phantoms.VOLUME, perturbations.PAPER_VOLUME, _TARGETS),
        steps=4_000,
        batch=8,
    ),
}
