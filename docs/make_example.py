"""Copy the embedded experiment's report and its figures to docs/example/."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN, EXAMPLE = ROOT / "results" / "embedded", ROOT / "docs" / "example"


def main() -> None:
    """Figures keep their place in the report's folder; those from elsewhere move beside it."""
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    text = (RUN / "report.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+\.png)\)", text):
        target = link.removeprefix("../../resources/")
        (EXAMPLE / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(RUN / link, EXAMPLE / target)
        text = text.replace(f"]({link})", f"]({target})")
    (EXAMPLE / "report.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
