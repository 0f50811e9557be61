"""Where a report goes: the terminal, the record."""

from pathlib import Path

from . import document, results, where


def publish(found, record=None):
    name = f"{where.stem(found.about)}.csv"
    print(f"\n{document.render(found)}")
    if record:
        path = Path(record) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        results.save(found, path)
        print(f"written: {path}")
