"""Where a report goes: the terminal, the record, the documentation."""

from pathlib import Path

from . import document, results, where

PLOTS = "benchmarks"  # the plots' folder beside benchmarks.md


def publish(found, record=None, docs=None):
    name = f"{where.stem(found.about)}.csv"
    print(f"\n{document.render(found, name)}")
    if record:
        path = Path(record) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        results.save(found, path)
        print(f"written: {path}")
    if docs:
        from . import plots  # matplotlib is slow to import, and not needed without

        page = Path(docs) / "benchmarks.md"
        drawn = plots.draw(found, page.parent / PLOTS)
        page.write_text(document.render(found, name, PLOTS))
        print("written:", page, *drawn)
