"""Own time against the peers', section by section: for the tables' ×, for the plots and for what is lost."""

from dataclasses import dataclass

from .engines import OWN, PEERS
from .grid import Point
from .threads import ONE, TWO

# The job of gru_rs that stands against the peers, or the best of several. Its other jobs are there to be
# compared with this one.
OWN_JOBS = {
    "forward": (OWN,),
    "training": (OWN,),
    "step": (OWN, f"{OWN}, out="),
    "lstm forward": (f"{OWN}, LSTM",),
    "lstm training": (f"{OWN}, LSTM",),
    "f64 forward": (f"{OWN}, f64",),
    "f64 training": (f"{OWN}, f64",),
    "ragged forward": (f"{OWN}, ragged",),
    "ragged training": (f"{OWN}, ragged",),
    "threads forward": (OWN + TWO,),
    "threads training": (OWN + TWO,),
}


@dataclass(frozen=True)
class Meeting:
    """Fastest seconds of each engine at one point; an engine that was not there is not in `peers`."""

    section: str
    point: Point
    own: float
    peers: dict

    @property
    def best(self):
        return min(self.peers, key=self.peers.get)

    @property
    def ratio(self):
        """Of the best peer's time to the own: above 1, gru_rs is the fastest."""
        return self.peers[self.best] / self.own


def meetings(results, section):
    """{point: Meeting} where gru_rs met at least one peer."""
    found = {}
    rows = results.of(section)
    for point in dict.fromkeys(row.point for row in rows):
        own, peers = [], {}
        for row in (row for row in rows if row.point == point):
            seconds = row.timing.minimum
            if row.engine in PEERS:
                peers[row.engine] = min(seconds, peers.get(row.engine, seconds))
            elif row.job in OWN_JOBS.get(section, ()):
                own.append(seconds)
        if own and peers:
            found[point] = Meeting(section, point, min(own), peers)
    return found


def lost(results):
    """Every meeting that a peer won, the worst first."""
    found = [m for section in OWN_JOBS for m in meetings(results, section).values() if m.ratio < 1]
    return sorted(found, key=lambda meeting: meeting.ratio)


def scaling(results, mode):
    """{point: own time on one thread / on two}."""
    found = {}
    for row in results.of(f"threads {mode}"):
        if row.engine == OWN:
            found.setdefault(row.point, {})[row.job] = row.timing.minimum
    return {point: jobs[OWN + ONE] / jobs[OWN + TWO] for point, jobs in found.items() if len(jobs) == 2}


def crowd(results):
    """{(section, point, job): {load: Timing}} of the sections that were measured under both loads."""
    found = {}
    for row in results.rows:
        if row.section.startswith("busy "):
            found.setdefault((row.section, row.point, row.job), {})[row.load] = row.timing
    return {what: loads for what, loads in found.items() if len(loads) == 2}
