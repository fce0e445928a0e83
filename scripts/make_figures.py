"""Write results/figures; with --check only say whether they are fresh."""

import sys
from pathlib import Path

from gluontricks.cli.making import main
from gluontricks.figures.canvas import MATPLOTLIB
from gluontricks.figures.make import FOLDER, compares_svg, stale_figures, write_figures

ONLY_DATA = f"only data were compared: pictures are those of matplotlib {MATPLOTLIB}"

if __name__ == "__main__":
    sys.exit(
        main(
            Path(__file__),
            __doc__,
            stale=stale_figures,
            write=write_figures,
            place=f"{FOLDER}/{{}}".format,
            remark="" if compares_svg() else ONLY_DATA,
        )
    )
