"""A network as pure functions of its weights, which are plain arrays by name."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from segjax._errors import InputError
from segjax.quality.ribcage import Network, Prediction, build


class Weights(NamedTuple):
    """What a network has learned.

    Attributes:
        parameters: learned by gradients, by the path of each in the network.
        statistics: running means and variances of the normalisations.
    """

    parameters: dict[str, Array]
    statistics: dict[str, Array]


class Program:
    """Pure functions of a network's weights; get it by `program_of`."""

    def __init__(self, network: Network):
        self.network = network
        model = nnx.eval_shape(lambda: build(network))
        self._graph, *states = nnx.split(model, nnx.Param, nnx.BatchStat)
        flat = [jax.tree_util.tree_flatten_with_path(state) for state in states]
        self._trees = [tree for _, tree in flat]
        self._shapes = [{_name(path): leaf.shape for path, leaf in leaves} for leaves, _ in flat]

    def random(self, seed: int = 0) -> Weights:
        """Weights to start training from."""
        _, *states = nnx.split(build(self.network, seed), nnx.Param, nnx.BatchStat)
        return Weights(*[self._plain(state) for state in states])

    def adopt(self, weights: Weights, network: Network) -> Weights:
        """What another network has learned, if it has the same blocks.

        Outputs that it lacks start at random. Kernels of images become the middle planes of those
        of volumes, whose other planes start at 0.

        Args:
            weights: of the other network.
            network: the other one.
        """
        parameters = dict(weights.parameters)
        fresh = self.random().parameters
        for name in _OUTPUT:
            columns = [
                parameters[name][..., network.outputs.index(one)]
                if one in network.outputs
                else fresh[name][..., i]
                for i, one in enumerate(self.network.outputs)
            ]
            parameters[name] = jnp.stack(columns, -1)
        if (network.dims, self.network.dims) == (2, 3):
            for name, x in parameters.items():
                if x.ndim == 4:  # of a convolution
                    parameters[name] = jnp.zeros((3, *x.shape)).at[1].set(x)
        adopted = weights._replace(parameters=parameters)
        self.check(adopted)
        return adopted

    def check(self, weights: Weights) -> None:
        """Raise unless weights are of this network."""
        given = [{name: jnp.shape(x) for name, x in part.items()} for part in weights]
        if given != self._shapes:
            differ = [
                name
                for ours, theirs in zip(self._shapes, given, strict=True)
                for name in sorted(ours.keys() | theirs.keys())
                if ours.get(name) != theirs.get(name)
            ]
            raise InputError(
                f"the weights are of another network: {len(differ)} arrays differ, the first is "
                f"{differ[0]}"
            )

    def predict(
        self,
        weights: Weights,
        image: Float[Array, "batch *space"],
        coded: Float[Array, "batch *space"],
    ) -> Prediction:
        """Predict with the running averages."""
        model = self._model(weights)
        model.eval()
        return model(image[..., None], coded[..., None])

    def learn(
        self,
        weights: Weights,
        image: Float[Array, "batch *space"],
        coded: Float[Array, "batch *space"],
    ) -> tuple[Prediction, dict[str, Array]]:
        """Predict with the batch's own averages; also the running averages that follow."""
        model = self._model(weights)
        predicted = model(image[..., None], coded[..., None])
        return predicted, self._plain(nnx.state(model, nnx.BatchStat))

    def _model(self, weights: Weights) -> Any:
        states = [
            jax.tree.unflatten(tree, [part[name] for name in shapes])
            for tree, shapes, part in zip(self._trees, self._shapes, weights, strict=True)
        ]
        return nnx.merge(self._graph, *states, copy=True)

    def _plain(self, state: Any) -> dict[str, Array]:
        leaves, _ = jax.tree_util.tree_flatten_with_path(state)
        return {_name(path): leaf for path, leaf in leaves}


_OUTPUT = ("output/kernel", "output/bias")


@cache
def program_of(network: Network) -> Program:
    """The functions of a network, made once."""
    return Program(network)


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path[:-1], simple=True, separator="/")
