"""The training runs behind the weights that come with segjax, by name."""

from segjax.quality.ribcage import Network
from segjax.quality.training import Training
from segjax.simulation import perturbations, phantoms
from segjax.simulation.maps import MAPS
from segjax.simulation.pairs import Pairs


_SHARES = ("SEG", "Dice", "PQ", "neMHD")
_PAPER = (*_SHARES, "MHD95", "ASD")


def _small(dims: int, outputs: tuple[str, ...]) -> Network:
    """Half the paper's width, with maps, without losing borders."""
    return Network(
        dims=dims, channels=(16, 32, 64, 128), outputs=outputs, maps=MAPS, padding="SAME"
    )


PRESETS = {
    # All that microscopes and segmenters do to nuclei.
    "nuclei-2d": Training(
        network=_small(2, _SHARES),
        pairs=Pairs(phantoms.WIDE, perturbations.WIDE, _SHARES, gain=(0.5, 1.2)),
        steps=20_000,
        batch=16,
    ),
    # What the paper does: images like Fluo-N2DH-SIM+, two-stage perturbations. Enough updates if
    # these two start from the weights of "nuclei-2d".
    "nuclei-2d-paper": Training(
        network=_small(2, _PAPER),
        pairs=Pairs(phantoms.SIM_PLUS, perturbations.PAPER, _PAPER),
        steps=3_000,
        batch=16,
        learning_rate=1e-3,
    ),
    # Images like Fluo-N3DH-SIM+.
    "nuclei-3d": Training(
        network=_small(3, _PAPER),
        pairs=Pairs(phantoms.VOLUME, perturbations.PAPER_VOLUME, _PAPER),
        steps=600,
        batch=8,
        learning_rate=1e-3,
    ),
}
