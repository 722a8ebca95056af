"""How a copper-like foil absorbs around an edge, so that a scan of it looks like one.

Absorption is given as optical depth µd. Before the edge it falls as E⁻³; at the edge it rises by the edge step, an
arctangent of the core hole's width with a white line behind it; above, the step carries the fine structure

    χ(k) = Σ_j N_j f(k) S₀² / (k R_j²) · exp(-2 s_j² k²) · exp(-2 R_j / λ(k)) · sin(2 k R_j + φ(k))

over the shells j of a face-centred cubic metal, s² being their disorder, with k = √(0.2624682917 (E - E₀)) in Å⁻¹. The
equation is the usual one (Sayers, Stern and Lytle, Physical Review Letters 27 (1971) 1204); scattering amplitude f, phase φ
and path λ are smooth curves of the size that copper has them, no calculation of copper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

# 2 mₑ e / ħ² in Å⁻² eV⁻¹.
WAVE_NUMBER_SQUARED_PER_EV: Final = 0.2624682917
# Distance over that of the nearest neighbours, and how many there are.
SHELLS: Final = ((1.0, 12), (math.sqrt(2), 6), (math.sqrt(3), 24), (2.0, 12))
NEAREST_NEIGHBOUR: Final = 2.556  # Å, in copper
MANY_BODY: Final = 0.85  # S₀²
DISORDER: Final = 0.0085  # s² of the nearest shell at room temperature, Å²
# Width of the K hole of copper with that of a Si(111) monochromator, eV.
EDGE_WIDTH: Final = 2.0
# The rise is steepest at E₀; what stands out above the step comes a little later.
WHITE_LINES: Final = ((3.0, 2.0, 0.10), (14.0, 4.5, 0.28), (23.0, 5.0, 0.12))  # eV above E₀, width, height


@dataclass(frozen=True)
class Foil:
    """A foil of one element.

    :param edge: energy of its edge, eV
    :param step: optical depth of the edge alone
    :param before: optical depth just below the edge
    """

    edge: float = 8979.0
    step: float = 1.1
    before: float = 0.6

    def depth(self, energy: float) -> float:
        """Optical depth at an energy in eV."""
        return self.before * (self.edge / energy) ** 3 + self.of_edge(energy)

    def of_edge(self, energy: float) -> float:
        """What the edge's own electrons absorb: this is what fluoresces."""
        above = energy - self.edge
        rise = 0.5 + math.atan(above / EDGE_WIDTH) / math.pi
        white = sum(height * math.exp(-(((above - at) / width) ** 2)) for at, width, height in WHITE_LINES)
        fade = (self.edge / energy) ** 2.7 if above > 0 else 1.0
        return self.step * fade * (rise + white) * (1 + fine_structure(above))


def fine_structure(above: float) -> float:
    """χ at an energy in eV above the edge; 0 below."""
    if above <= 0:
        return 0.0
    k = math.sqrt(WAVE_NUMBER_SQUARED_PER_EV * above)
    amplitude = 0.75 * math.exp(-(((k - 6.5) / 6.5) ** 2))
    path = k / 1.2 * (1 + (3.0 / k) ** 4)
    phase = 5.0 - 1.2 * k + 0.02 * k**2
    chi = 0.0
    for ratio, neighbours in SHELLS:
        distance = NEAREST_NEIGHBOUR * ratio
        disorder = DISORDER * (1 + 0.4 * (ratio - 1))
        chi += (
            neighbours / (k * distance**2)
            * math.exp(-2 * disorder * k**2 - 2 * distance / path)
            * math.sin(2 * k * distance + phase)
        )  # fmt: skip
    # Near the edge single scattering doesn't hold: the white line stands for it.
    return MANY_BODY * amplitude * chi * -math.expm1(-((k / 2.5) ** 4))
