"""MO-AltMin: alternating minimisation whose analog part moves on the manifold of unit-modulus matrices.

Written for speed, so that a comparison with it is fair: any number of channels in one set of array operations, finished
ones dropped; the objective for a given digital part is quadratic in the analog part, so one Gram matrix and one cross
product stand for all subcarriers; real inner products instead of traces of matrices.
Dimension letters: N channels, K subcarriers, T antennas, L RF chains, S = K·Ns targets.
Source: Yu et al. 2016, algorithms 1 and 2, and the simulation code published with it.
"""

from __future__ import annotations

import math

import numpy as np

_ARMIJO_SLOPE = 1e-4
_ARMIJO_SHRINK = 0.5
_MAX_HALVINGS = 12


def alternate_on_manifold(
    targets: np.ndarray,
    num_chains: int,
    *,
    tolerance: float = 1e-3,
    max_rounds: int = 60,
    max_steps: int = 30,
) -> np.ndarray:
    """Approximate targets complex [N, K, T, Ns] by analog parts [N, T, L] of modulus 1/√T times digital parts.

    A channel is finished when a round lowers its squared error by less than the fraction `tolerance`.
    """
    num_antennas = targets.shape[2]
    wanted = np.ascontiguousarray(targets.transpose(0, 2, 1, 3)).reshape(len(targets), num_antennas, -1)
    energy = _inner(wanted, wanted)
    left, _, _ = np.linalg.svd(wanted, full_matrices=False)
    analog = _retract(left[..., :num_chains])
    previous = np.full(len(wanted), np.inf, np.float32)
    active = np.arange(len(wanted))
    for _ in range(max_rounds):
        adjoint = analog[active].conj().swapaxes(-1, -2)
        baseband = np.linalg.solve(adjoint @ analog[active], adjoint @ wanted[active])
        adjoint = baseband.conj().swapaxes(-1, -2)
        moved, cost = _descend(analog[active], baseband @ adjoint, wanted[active] @ adjoint, max_steps)
        analog[active] = moved
        error = cost + energy[active]
        is_going = previous[active] - error > tolerance * error
        previous[active] = error
        active = active[is_going]
        if not len(active):
            break
    return analog / math.sqrt(num_antennas)


def _descend(analog: np.ndarray, gram: np.ndarray, cross: np.ndarray, max_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Minimise tr(G XᴴX) − 2 Re tr(CᴴX) over unit-modulus X [N, T, L] by conjugate gradients; X and the minimum."""
    product = analog @ gram
    cost = _inner(product - 2 * cross, analog)
    gradient = _project(product - cross, analog)
    direction = -gradient
    squared = _inner(gradient, gradient)
    start = squared.copy()
    # The Gram matrix's trace bounds the curvature, so its inverse is a step that never overshoots by much.
    step = analog.shape[-1] / np.trace(gram, axis1=-2, axis2=-1).real
    for _ in range(max_steps):
        analog, product, cost, step = _search_line(analog, product, cost, direction, gradient, gram, cross, step)
        renewed = _project(product - cross, analog)
        renewed_squared = _inner(renewed, renewed)
        if np.all(renewed_squared < 1e-4 * start):
            break
        carried = _project(gradient, analog)
        beta = np.maximum(0, (renewed_squared - _inner(renewed, carried)) / np.maximum(squared, 1e-30))
        direction = beta[:, None, None] * _project(direction, analog) - renewed
        gradient, squared = renewed, renewed_squared
    return analog, cost


def _search_line(
    analog: np.ndarray,
    product: np.ndarray,
    cost: np.ndarray,
    direction: np.ndarray,
    gradient: np.ndarray,
    gram: np.ndarray,
    cross: np.ndarray,
    step: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Backtrack each channel's step until the cost falls enough (Armijo); the next search starts from twice it."""
    slope = 2 * _inner(gradient, direction)
    is_uphill = slope >= 0
    if is_uphill.any():
        direction = np.where(is_uphill[:, None, None], -gradient, direction)
        slope = np.where(is_uphill, -2 * _inner(gradient, gradient), slope)
    step = step * 2
    for _ in range(_MAX_HALVINGS):
        moved = _retract(analog + step[:, None, None] * direction)
        moved_product = moved @ gram
        moved_cost = _inner(moved_product - 2 * cross, moved)
        is_low = moved_cost <= cost + _ARMIJO_SLOPE * step * slope
        if is_low.all():
            return moved, moved_product, moved_cost, step
        step = np.where(is_low, step, step * _ARMIJO_SHRINK)
    kept = is_low[:, None, None]
    return (
        np.where(kept, moved, analog),
        np.where(kept, moved_product, product),
        np.where(is_low, moved_cost, cost),
        step,
    )


def _inner(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Real inner product of complex [N, T, L]: [N]."""
    shape = (len(left), 1, -1)
    parts = [np.ascontiguousarray(each).view(each.real.dtype).reshape(shape) for each in (left, right)]
    return (parts[0] @ parts[1].swapaxes(-1, -2))[:, 0, 0]


def _project(gradient: np.ndarray, analog: np.ndarray) -> np.ndarray:
    """Project on the tangent space of the unit circles."""
    return gradient - (gradient.real * analog.real + gradient.imag * analog.imag) * analog


def _retract(analog: np.ndarray) -> np.ndarray:
    return analog / np.maximum(np.abs(analog), 1e-20)
