"""`eyeriss-sim export accelergy`: a result file as Accelergy's architecture and action counts."""

from __future__ import annotations

from pathlib import Path

import click

from sim.cli.options import HelpWithoutArguments
from sim.cli.output import Target, keep_apart


@click.command(cls=HelpWithoutArguments)
@click.argument("result", metavar="RESULT.json")
@click.option("-o", "--output", metavar="DIR", required=True, help="Folder for the two files.")
def accelergy(result: str, output: str) -> None:
    """Write architecture.yaml and action_counts.yaml of a result file, version 0.4.

    `accelergy` prices them with its plug-ins; `model accelergy` does with an ERT. Counts are those
    of all layers together. DRAM is counted in words before run-length code, as in the result.

    \b
    Example:
      eyeriss-sim estimate alexnet --layer CONV3 --json conv3.json
      eyeriss-sim export accelergy conv3.json -o conv3
    """
    from sim.models.accelergy.export import Chip, Run, action_counts, architecture
    from sim.report.load import read_result

    found = read_result(result).model_dump(mode="json")
    hw = found["hw"]
    bits = hw["word_bits"]
    if not isinstance(bits, int):
        raise click.UsageError("words of several widths: Accelergy's memories have one")
    pe, glb, port = hw["pe"], hw["glb"], hw["glb"]["port_bits"]
    chip = Chip(
        pes=hw["array"]["rows"] * hw["array"]["columns"],
        word_bits=bits,
        glb_bits=port,
        glb_depth=glb["banks"] * glb["bank_bytes"] * 8 // port,
        glb_banks=glb["banks"],
        filter_depth=glb["filter_banks"] * glb["bank_bytes"] * 8 // port,
        filter_banks=glb["filter_banks"],
        dram_bits=hw["dram"]["link_bits"],
        ifmap_spad=pe["ifmap_spad_words"],
        filter_spad=pe["filter_spad_words"],
        psum_spad=pe["psum_spad_words"],
        pipeline_stages=pe["pipeline_stages"],
        core_mhz=hw["clock"]["core_mhz"],
    )
    runs = [Run(layer["accesses"], layer["cycles"]["processing"]) for layer in found["layers"]]
    folder = Path(output)
    texts = {
        "architecture.yaml": architecture(chip),
        "action_counts.yaml": action_counts(runs, chip),
    }
    targets = {name: Target(str(folder / name)) for name in texts}
    keep_apart({name: target.name for name, target in targets.items()}, (result,))
    folder.mkdir(parents=True, exist_ok=True)
    for target in targets.values():
        target.check()
    for name, text in texts.items():
        targets[name].write(text)
