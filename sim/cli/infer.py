"""`eyeriss-sim infer`: mappings that two published columns leave, of all legal ones."""

from __future__ import annotations

import click

from sim.cli.output import Target, json_text, stdout_width, write_stdout


@click.command
@click.argument("network", type=click.Choice(["alexnet", "vgg16"]), default="vgg16")
@click.option("--json", "json_file", metavar="FILE", help="Write the mappings; - is stdout.")
def infer(network: str, json_file: str | None) -> None:
    """Find the mappings that active PEs and GLB accesses leave of all legal ones.

    The chip's authors did not publish VGG-16's mappings. Both columns follow from a mapping without
    any time, so latencies, DRAM accesses and power of the layers remain predictions. Takes some ten
    seconds.

    \b
    Examples:
      eyeriss-sim infer vgg16
    """
    from sim.reference.inference import infer_mappings
    from sim.report.text.inference import render_inference

    target = Target(json_file) if json_file is not None else None
    if target is not None:
        target.check()
    groups = infer_mappings(network)
    if target is not None:
        target.write(json_text({"groups": [group.to_dict() for group in groups]}))
    if target is None or not target.is_stdout:
        write_stdout(render_inference(groups, width=stdout_width()))
