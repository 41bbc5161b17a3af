"""Real series that statsmodels brings along, so that they need no network.

Source: statsmodels.datasets: co2 (Mauna Loa, weekly, here monthly means), elnino (sea surface temperature, monthly),
sunspots (yearly) and macrodata (United States, quarterly).
"""

from __future__ import annotations

import numpy as np

from model_store.series import fill_gaps
from training.forecaster.windows import Series

_SUNSPOT_CYCLE = 11
_QUARTERLY = ("realgdp", "realcons", "realinv", "realgovt", "realdpi", "m1", "unemp", "tbilrate", "infl")


def load_bundled() -> list[Series]:
    """Load all of them: 12 series of 203 to 732 steps."""
    from statsmodels.datasets import co2, elnino, macrodata, sunspots  # takes a second, with pandas

    monthly = co2.load_pandas().data["co2"].resample("MS").mean().to_numpy(float)
    temperature = elnino.load_pandas().data.drop(columns="YEAR").to_numpy(float).ravel()
    quarterly = macrodata.load_pandas().data
    series = [
        Series("co2", fill_gaps(monthly), 12),
        Series("elnino", temperature, 12),
        Series("sunspots", sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(float), _SUNSPOT_CYCLE),
        *(Series(name, quarterly[name].to_numpy(float), 4) for name in _QUARTERLY),
    ]
    assert all(np.isfinite(each.values).all() for each in series)
    return series
