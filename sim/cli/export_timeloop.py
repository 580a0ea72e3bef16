"""`eyeriss-sim export timeloop`: mappings of layers as files of Timeloop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sim.cli.options import Selection, selection_options
from sim.cli.output import Target, write_stdout

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.models.timeloop.write import Chip


@click.command()
@selection_options
@click.option(
    "-o", "--output", metavar="DIR", required=True, help="Folder for a file of each layer."
)
def timeloop(selection: Selection, output: str) -> None:
    """Write the mapping of each layer as a file of Timeloop, version 0.3.

    Layers whose blocks are not even, or whose sets the array folds, are left out with the reason;
    exit code 2 where --layer names one, or none is left. Energies are for an ERT to say.

    \b
    Example:
      eyeriss-sim export timeloop alexnet --layer CONV3 -o files
      eyeriss-sim model timeloop files/CONV3.yaml
    """
    from sim.dataflow.base import find_dataflow
    from sim.dataflow.nest import layer_sizes
    from sim.models.timeloop.write import Nest, write_files
    from sim.run import make_plans
    from workloads.inputs.words import path_part

    network, batch, hw = selection.load()
    plans, refused, _ = make_plans(network, batch, hw, selection.mapping)
    left = {layer.name: "; ".join(layer.reasons) for layer in refused}
    texts: dict[str, str] = {}
    for plan in plans:
        nest = find_dataflow(plan.dataflow).to_nest(plan)
        layer = plan.layer
        try:
            texts[layer.name] = write_files(
                Nest(
                    layer_sizes(layer, batch),
                    layer.U,
                    layer.V,
                    [(loop.dimension, loop.bound, loop.level) for loop in nest.loops],
                ),
                chip_of(hw),
            )
        except ValueError as error:
            left[layer.name] = str(error)
    folder = Path(output)
    taken: set[str] = set()
    if texts:
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        Target(str(folder / f"{path_part(name, taken)}.yaml")).write(text)
    write_stdout("".join(f"written: {name}\n" for name in texts))
    for name, reason in left.items():
        click.echo(f"left out: {name}: {reason}", err=True)
    if left and (selection.layers or not texts):
        raise click.exceptions.Exit(2)


def chip_of(hw: Hardware) -> Chip:
    """Return what a file of Timeloop says of a chip."""
    from sim.models.timeloop.write import Chip

    bits = hw.word_bits.ifmap
    return Chip(
        rows=hw.array.rows,
        columns=hw.array.columns,
        word_bits=bits,
        glb_words=hw.glb.banks * hw.glb.bank_bytes * 8 // bits,
        glb_block=max(1, hw.glb.port_bits // bits),
        dram_block=max(1, hw.dram.link_bits // bits),
        ifmap_spad=hw.pe.ifmap_spad_words,
        filter_spad=hw.pe.filter_spad_words,
        psum_spad=hw.pe.psum_spad_words,
    )
