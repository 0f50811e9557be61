"""Forecaster: the next values of one or several series from their last ones, with columns known ahead or only
observed, quantiles, intervals and dates. It must not know how windows are trained on, which `_direct` does,
nor how forecasts are judged by what came, which `_rolling` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._backtest import Backtest as Backtest
from ._doc import document
from ._exported import of_forecaster
from ._files import readable
from ._history import (
    calendars_of,
    expect_history,
    histories,
    kept_of,
    older,
    own_scale,
    scale_of,
    told,
)
from ._learnt import Sizes
from ._panel import (
    Panel,
    Read,
    dated,
    expect_alike,
    expect_column_names,
    expect_long,
    future_of,
    in_form,
    parts_for,
    read_panel,
)
from ._rolling import RollingForecaster
from ._undo import all_or_nothing
from ._validation import arguments_of, of_validation_data
from ._windows import in_units

if TYPE_CHECKING:
    from typing_extensions import Self

    from gru_rs._exported import Exported

    from ._batches import Array
    from ._calendars import Calendar
    from ._learnt import Learnt


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(RollingForecaster):
    """The next values of one or several series, by a GRU or LSTM over their last ones.

    Parameters
    ----------
    horizon : int, default 1
        Values ahead, all forecast at once.
    window : int, default 48
        Values that the network reads.
    season : int, "auto" or None, default "auto"
        Values of a season, such as 24 for hours of a day; None: there is none. ``"auto"`` finds it where the
        autocorrelation of the changes of the series peaks above 3.6 standard errors, and takes it unless more
        than half of the windows would be lost by it. What is learnt is the difference from what a forecast
        begins with: the last value, what was a season before, or the last value and how it went on a season
        before; for each step ahead what was nearest in training.
    scale : bool, default True
        Learn values and columns with mean 0 and variance 1, measured in training; of several series, each in
        units of its own mean and deviation before.
    loss : {"squared", "absolute", "huber"} or callable, default "squared"
        What is made small, without quantiles: forecasts tend to the mean, the median, or of "huber" to the
        mean without the pull of outliers. Or a function ``(scores, targets) -> (loss, gradient)`` of two
        arrays ``(windows, horizon * n_targets)``, the targets of a step ahead side by side, both as
        differences from what a forecast begins with in units of ``target_scale_``; its gradient is shaped as
        the scores, and `gru_rs.load` asks for it again.
    huber_delta : float, default 1.0
        For "huber", in those units: beyond it errors count by their size, no more by its square.
    quantiles : sequence of float, optional
        Levels of (0, 1), rising; a forecast has a column for each. Errors are those of .5: without it among
        them nothing says how good forecasts are beside naive ones.
    levels : sequence of float, optional
        Of (0, 1), rising, without quantiles: a forecast comes with intervals in which so large a share of
        what comes should lie. For each step ahead they are as wide as so large a share of the errors on
        windows that training has not seen (cross-conformal prediction; Vovk, 2015): four more networks are
        trained, each without a quarter of the windows, one stretch of time. Of 10,000 windows or more those
        that early stopping holds out are enough.
    gaps : {"refuse", "fill", "mask"}, default "refuse"
        What is done with NaN, with missing values, and with missing rows between dates, of series and of what
        is observed. ``"fill"`` reads the last known value instead; ``"mask"`` tells the network besides where
        that was. No gap is a target: windows whose horizon has one are not learnt from. Rows before the first
        that has all values are left out.
    {network}
    {training}

    Attributes
    ----------
    season_ : int or None
        Values of a season, as given or found.
    base_ : ndarray of int, (horizon, n_targets)
        What forecasts begin with: 0 the last value, 1 what was a season before, 2 both.
    n_targets_, n_exog_, n_observed_ : int
        Columns of the series, of what is known ahead, and of what is observed.
    target_names_, exog_names_, observed_names_ : list of str, or None
        What they are called, if they were tables: others must have the same in this order.
    series_ : list, or None
        The names of several series, or their numbers from 0.
    n_values_ : int
        Times of all series together.
    early_stopping_ : bool
        What ``early_stopping="auto"`` has come to.
    held_out_ : dict, or None
        Of the windows that were held out their number, ``"windows"``, and the root mean square errors:
        ``"rmse"``, None of quantiles without .5, ``"last_rmse"`` of the last value, and ``"season_rmse"`` of
        a season before, None without one. Of several series or targets in units of each.
    margins_ : ndarray, (n_levels, horizon, n_targets), or None
        Half of the intervals' widths; of several series in units of each.
    {fitted}

    Notes
    -----
    ``early_stopping="auto"``, the default, holds out the last `validation_fraction` of the windows of each
    series, but at least `horizon` of them up to a fifth, if there are 20 to 9,999 windows. It leaves out the
    ``horizon - 1`` windows before, whose targets they share. A series of which less than a third would be
    left is learnt from whole; where the others do not have half of that share, the last series are held out,
    whole, and of a single series nothing. ``str()`` of a fitted forecaster has three
    lines: what it learnt from, how good it was on the windows that were held out beside both naive forecasts,
    and how training ended.

    Examples
    --------
    >>> import numpy as np
    >>> from gru_rs import Forecaster
    >>> wave = np.sin(np.arange(400) / 5)
    >>> forecaster = Forecaster(horizon=3, window=20, hidden_size=16, max_iter=30, random_state=1)
    >>> forecaster = forecaster.fit(wave[:300])
    >>> forecaster.predict().shape
    (3,)
    >>> forecaster.backtest(wave, start=300).rmse < 0.1
    True

    Several series, with intervals:

    >>> pair = {"slow": wave, "fast": np.cos(np.arange(300) / 2)}
    >>> forecaster = Forecaster(window=20, hidden_size=8, max_iter=5, levels=[0.8], random_state=1).fit(pair)
    >>> {name: found.shape for name, found in forecaster.predict().items()}
    {'slow': (1, 3), 'fast': (1, 3)}
    """

    def _as_fitted(self) -> dict[str, Any]:
        found = {"horizon": len(self.base_), "scale": self.scale_ is not None}
        return found if isinstance(self.season, str) else found | {"season": self.season_}

    def _expect_as_fitted(self) -> None:
        super()._expect_as_fitted()
        outputs, kept = self.model_.output_size // self.base_.size, self.history_.shape[1]
        if self._quantiles() != outputs:
            msg = f"quantiles: expected {outputs} numbers a step as in the fit before, got {self.quantiles!r}"
            raise ValueError(msg)
        if self._reach().first + self.horizon != kept:
            msg = f"window: expected as in the fit before, which kept {kept} values, got {self.window}"
            raise ValueError(msg)
        masked = self.n_targets_ * 2 + self.n_exog_ * self.horizon + self.n_observed_ < self.model_.input_size
        if masked != (self.gaps == "mask"):
            was = "'mask'" if masked else "'refuse' or 'fill'"
            msg = f"gaps: expected {was} as in the fit before, got {self.gaps!r}"
            raise ValueError(msg)

    # Files

    def _expect_learnt(self, learnt: Learnt) -> Sizes:
        return expect_history(self, learnt)

    def _saved(self) -> dict[str, Any]:
        return {name: value for name, value in super()._saved().items() if name != "_parted"}

    def _recall(self) -> None:
        state = self.__dict__
        if "base_" not in state:
            state.update(
                older(state, self.window, self.horizon, self.season),
                early_stopping_=bool(self.early_stopping),
            )

    def fit(self, y: Any, exog: Any = None, *, observed: Any = None, validation_data: Any = None) -> Self:
        """Train on a series, or on several.

        Parameters
        ----------
        y : array_like
            Values at equal distances of time, the oldest first: ``(n,)``, or ``(n, K)`` of several targets.
            Several series, of any lengths, are a list of such, a dict of them by name, or a column with a
            series in each row: one network learns from all of them. (Of a long table of pandas with the dates
            as its index ``dict(list(table.groupby("name")["value"]))`` is one.) Series and tables of pandas
            with an index of dates or periods, and tables of pandas and polars with a column of dates, are
            forecast with the dates that come next.
        exog : array_like, (n, k), optional
            Columns that are known up to the horizon ahead, such as the day of the week or a set price. Of
            several series a list or a dict of them; so `observed`.
        observed : array_like, (n, p), optional
            Columns that are known only up to now, such as the weather.
        validation_data : tuple or dict, optional
            ``(y,)``, ``(y, exog)``, ``(y, exog, observed)`` or a dict of these names: other series, or later
            parts of these with what their first windows read, whose forecasts each epoch is scored by, in
            ``validation_scores_``. With `early_stopping` they are in place of the last windows.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            A parameter or an argument that cannot be used; a series too short for one window and its target;
            missing values unless `gaps` takes them; dates that are not regular, named by row.

        Warns
        -----
        UserWarning
            On the windows that were held out the forecasts are worse than a naive one, and by how much.
        """
        self._check()
        later = None
        if validation_data is not None:
            given = arguments_of(validation_data, ("y", "exog", "observed"), 1)
            with of_validation_data():
                later = read_panel(given["y"], given.get("exog"), given.get("observed"), self.gaps)
        panel = read_panel(y, exog, observed, self.gaps)
        with all_or_nothing(self):
            return self._fit_panel(panel, later)

    def _fit_panel(self, panel: Panel, later: Panel | None = None) -> Self:
        first = self._fits_anew()
        if not first:
            self._expect_as_fitted()
            self._expect_columns(("y", "exog", "observed"), panel.each[0])
            if (panel.keys is None) != (self.series_ is None):
                # One is learnt from in its values, several in units of each.
                was, got = ("one", "several") if self.series_ is None else ("several", "one")
                msg = f"y: expected {was} series, as training with warm_start goes on from, got {got}"
                raise ValueError(msg)
        scales: tuple[Array, Array] | None = None
        series = [read.series for read in panel.each]
        if panel.keys is not None and self.scale:
            found = [own_scale(read) for read in panel.each]
            scales = np.stack([mean for mean, _ in found]), np.stack([deviation for _, deviation in found])
            series = [in_units(one, own) for one, own in zip(series, found, strict=True)]
        others = None
        if later is not None:
            with of_validation_data():
                expect_alike(later.each, panel.each[0])
            own = [self._later_scale(panel, scales, key, read) for key, read in later.items()]
            pairs = zip(later.each, own, strict=True)
            others = [in_units(read.series, scale) for read, scale in pairs], later.labels("y")
        names = panel.labels("y")
        self._fit_series(series, names, lambda reach: kept_of(panel, reach, scales), others, first=first)
        return self

    def _later_scale(
        self, panel: Panel, scales: tuple[Array, Array] | None, key: Any, read: Read
    ) -> tuple[Array, Array] | None:
        """The units of a series to validate on: of its name in training, else its own."""
        if scales is None:
            return None
        if key is None or panel.keys is None or key not in panel.keys:
            return own_scale(read)
        place = panel.keys.index(key)
        return scales[0][place], scales[1][place]

    def predict(self, exog: Any = None, *, y: Any = None, past_exog: Any = None, observed: Any = None) -> Any:
        """The values after a series.

        Parameters
        ----------
        exog : array_like, (horizon, k)
            The columns of the times to come; needed if there were columns in training. Of several series a
            list or a dict of them; so `past_exog` and `observed`.
        y : array_like, optional
            The series to go on with, one or several in the forms of `fit`; those of training when missing.
            Of several, one with a name of training is in its units, any other in its own.
        past_exog : array_like, (n, k), optional
            Its columns that are known ahead.
        observed : array_like, (n, p), optional
            Its columns that are observed.

        Returns
        -------
        ndarray, (horizon,) or (horizon, n_targets), and an axis more of quantiles or levels
            Quantiles rise from column to column, and so do the lower ends, the forecast and the upper ends of
            levels. Several series are a list or a dict as they came. Series with dates are a series or a
            table of their library, with the next dates and the names of their columns.

        Raises
        ------
        ValueError, TypeError
            A series that is too short, or other columns than in training.
        """
        check_is_fitted(self, "model_")
        if y is None:
            for name, given in (("past_exog", past_exog), ("observed", observed)):
                if given is not None:
                    msg = f"{name}: expected with y, whose columns they are, got them alone"
                    raise ValueError(msg)
            keys, by_name, series = self.series_, self._by_name, histories(self)
            names = ["y, of which the end of training's is kept"] * len(series)
            calendars = calendars_of(self)
            scales = self._known_scales()
        else:
            panel = read_panel(y, past_exog, observed, self.gaps, ("y", "past_exog", "observed"))
            self._expect_panel(panel, ("y", "past_exog", "observed"))
            keys, by_name = panel.keys, panel.by_name
            series, calendars = [read.series for read in panel.each], [read.calendar for read in panel.each]
            scales = [scale_of(self, key, read) for key, read in panel.items()]
            names = panel.labels("y")
        future, reach = parts_for("exog", keys, exog), self._reach()
        expect_long(names, series, reach.first)
        whole = []
        for place, (one, given, scale) in enumerate(zip(series, future, scales, strict=True)):
            name = "exog" if keys is None else f"exog, series {keys[place]!r}"
            ahead, names = future_of(name, given, self.horizon, calendars[place])
            expect_column_names(name, ahead.shape[1], self.n_exog_, names, self.exog_names_)
            whole.append(in_units(one.last(reach.first), scale).with_future(ahead))
        parts = self._in_values(whole, [np.array([len(one)]) for one in whole], scales)
        shaped = [self._dressed(part[0], calendar) for part, calendar in zip(parts, calendars, strict=True)]
        return in_form(keys, shaped, by_name=by_name)

    def _known_scales(self) -> list[tuple[Array, Array] | None]:
        """Of the series of training."""
        if self.series_scale_ is None:
            return [None] * len(self.history_)
        return list(zip(*self.series_scale_, strict=True))

    def _dressed(self, found: Array, calendar: Calendar | None) -> Any:
        """A forecast ``(horizon, K, Q)`` as its series came: with dates, or as an array."""
        if calendar is None:
            return self._squeezed(found)
        marks: list[Any] = [None]
        if self.quantiles is not None:
            marks = [float(level) for level in self.quantiles]
        elif self.levels is not None:
            levels = [float(level) for level in self.levels]
            marks = [
                *(f"lower {one}" for one in levels[::-1]),
                "forecast",
                *(f"upper {one}" for one in levels),
            ]
        return dated(found, calendar, self.target_names_, marks, flat=self._flat)

    def _network_outputs(self, X: Any, lengths: Any) -> list[Array]:
        """Forecasts from every origin of a series, or of a tuple of one, its columns known ahead, and those
        observed.
        """
        if lengths is not None:
            msg = "lengths: expected None for a series, which has its own"
            raise ValueError(msg)
        given = X if isinstance(X, tuple) else (X,)
        if not 0 < len(given) <= 3:
            msg = f"validate: expected y, or a tuple of y, exog and observed, got one of {len(given)}"
            raise ValueError(msg)
        y, exog, observed = (*given, None, None)[:3]
        panel = read_panel(y, exog, observed, self.gaps, ("validate",) * 3)
        self._expect_panel(panel, ("validate",) * 3)
        reach = self._reach()
        scales = [scale_of(self, key, read) for key, read in panel.items()]
        series = [in_units(read.series, scale) for read, scale in zip(panel.each, scales, strict=True)]
        expect_long(panel.labels("validate"), series, reach.first + reach.horizon)
        parts = self._in_values(series, [reach.origins(len(one)) for one in series], scales)
        return [self._squeezed(part) for part in parts]

    def _described(self) -> Exported:
        return of_forecaster(self)

    def __str__(self) -> str:
        return told(self) if hasattr(self, "model_") and "base_" in vars(self) else repr(self)
