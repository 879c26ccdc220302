"""The napari plugin: label layers scored while they are painted.

What is scored, when, in which colours and who leads is decided here without Qt; `qt` shows it.
`napari.yaml` tells napari what there is; neither Qt nor JAX is loaded before it is asked for.
"""
