import math

import pytest
import torch

from training.beamformer.baselines.digital import beamform_svd
from training.beamformer.channel import ChannelModel, add_noise, sample_channels
from training.beamformer.contenders import Observation, beamform_network
from training.beamformer.data import observe
from training.beamformer.denoiser import Denoiser
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency
from training.beamformer.paired import adjoint, invert, multiply, orthonormalize, to_complex, to_pair
from training.beamformer.program import DigitalProgram, HybridProgram
from training.beamformer.subspace import DominantSubspace
from training.beamformer.unrolled import Beamformer
from training.beamformer.wiener import shrink

MODEL = ChannelModel()
CHANNEL = sample_channels(MODEL, 4, torch.Generator().manual_seed(5))


def build(*gates, sweeps=2):
    torch.manual_seed(0)
    denoiser = Denoiser(MODEL.receive_shape, MODEL.transmit_shape, gates=gates, num_first_sweeps=1, num_hidden=4)
    return Beamformer(MODEL, denoiser, num_phase_sweeps=sweeps).eval()


@pytest.fixture(scope="module")
def network():
    return build("separable", "joint")


def complex_of(weights):
    return torch.view_as_complex(weights.contiguous())


def percent(precoder, combiner):
    reached = measure_spectral_efficiency(CHANNEL, precoder, combiner, 0.0)
    return float(100 * reached.sum() / measure_optimum(CHANNEL, 0.0).sum())


def hermitian(size, seed=0):
    matrix = torch.randn(3, size, size, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))
    return matrix @ matrix.mH


def test_pairs_compute_what_complex_matrices_do():
    left, right = CHANNEL[0, :, :, :9], CHANNEL[0, :, :9, :7]
    torch.testing.assert_close(to_complex(multiply(to_pair(left), to_pair(right))), left @ right, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(to_complex(adjoint(to_pair(left))), left.mH)
    gram = hermitian(6)
    torch.testing.assert_close(
        to_complex(invert(to_pair(gram))) @ gram, torch.eye(6).to(gram).expand(3, -1, -1), rtol=0, atol=2e-2
    )


def test_a_singular_matrix_leaves_the_others_of_its_batch_alone():
    gram = hermitian(4)
    expected = invert(to_pair(gram[1:]))
    gram[0] = 0
    torch.testing.assert_close(invert(to_pair(gram))[1:], expected)


def test_shrinkage_changes_eigenvalues_and_no_eigenvector():
    gram, threshold = hermitian(6), torch.tensor([0.5, 3.0, 20.0])
    values, vectors = torch.linalg.eigh(gram)
    gain = values**2 / (values**2 + threshold[:, None] ** 2)
    expected = (vectors * gain[:, None]) @ vectors.mH
    torch.testing.assert_close(to_complex(shrink(to_pair(gram), threshold)), expected, rtol=1e-3, atol=1e-3)


def test_columns_come_back_orthonormal_even_when_they_depend_on_each_other():
    columns = CHANNEL[0, :, :, :4].clone()
    columns[:, :, 1] = columns[:, :, 0]
    basis = to_complex(orthonormalize(to_pair(columns)))
    torch.testing.assert_close(basis.mH @ basis, torch.eye(4).to(basis).expand(5, -1, -1), rtol=0, atol=1e-3)


def test_subspace_iteration_reaches_the_svd():
    right, left = DominantSubspace(36, 2)(to_pair(CHANNEL.flatten(0, 1)))
    precoder, combiner = (to_complex(each).unflatten(0, (-1, 5)) for each in (right, left))
    assert percent(precoder, combiner) > 99.9
    torch.testing.assert_close(
        precoder.mH @ precoder, torch.eye(2).to(precoder).expand(4, 5, -1, -1), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("gates", [("none", "none"), ("separable", "cell"), ("joint",)])
def test_exact_channels_are_beamformed_nearly_optimally_before_any_training(gates):
    weights = beamform_network(build(*gates), Observation(CHANNEL, math.inf, None, MODEL))
    assert percent(*weights) > 99


def test_denoising_beats_the_svd_before_any_training(network):
    observed = observe(CHANNEL, -10.0)
    found = percent(*beamform_network(network, Observation(observed, -10.0, None, MODEL)))
    assert found > percent(*beamform_svd(observed)) + 10
    assert found < 100


def test_a_global_phase_turns_the_weights_and_leaves_the_rate(network):
    observed = add_noise(CHANNEL, torch.full((4,), -10.0), torch.Generator().manual_seed(0))
    turned = observed * torch.polar(torch.tensor(1.0), torch.tensor(2.1))
    plain, other = (beamform_network(network, Observation(each, -10.0, None, MODEL)) for each in (observed, turned))
    # Equivariant: the projectors on precoder and combiner do not turn at all.
    for before, after in zip(plain, other, strict=True):
        torch.testing.assert_close(before @ before.mH, after @ after.mH, rtol=0, atol=5e-3)


def test_scale_does_not_matter(network):
    observed = observe(CHANNEL, -5.0)
    plain, scaled = (
        beamform_network(network, Observation(each, -5.0, None, MODEL)) for each in (observed, 100 * observed)
    )
    torch.testing.assert_close(plain[0] @ plain[0].mH, scaled[0] @ scaled[0].mH, rtol=0, atol=5e-3)


def test_rows_do_not_touch_each_other(network):
    program = DigitalProgram(network)
    rows, levels = torch.view_as_real(observe(CHANNEL, -5.0)), torch.full((4,), -5.0)
    broken = rows.clone()
    broken[0] = 0
    with torch.no_grad():
        whole, alone = program(rows, levels)[0], program(rows[1:2], levels[:1])[0]
        beside_zeros = program(broken, levels)[0]
    for each in (alone[0], beside_zeros[1]):
        first, second = complex_of(whole[1]), complex_of(each)
        torch.testing.assert_close(first @ first.mH, second @ second.mH, rtol=0, atol=5e-3)


@pytest.mark.parametrize("num_chains", [2, 3, 4])
def test_hybrid_weights_are_unit_modulus_times_baseband_of_full_power(network, num_chains):
    rows = torch.view_as_real(observe(CHANNEL, -10.0))
    with torch.no_grad():
        precoder, combiner, estimate = DigitalProgram(network)(rows, torch.full((4,), -10.0))
        program = HybridProgram(network.heads.values())
        weights, combiner, analog, baseband, *_ = program(precoder, estimate, torch.full((4,), num_chains))
    analog, baseband, weights, combiner = (complex_of(each) for each in (analog, baseband, weights, combiner))
    assert not analog[..., num_chains:].any()
    assert not baseband[:, :, num_chains:].any()
    analog, baseband = analog[..., :num_chains], baseband[:, :, :num_chains]
    torch.testing.assert_close(analog.abs(), torch.full((4, 144, num_chains), 1 / 12), rtol=1e-4, atol=0)
    torch.testing.assert_close(analog[:, None] @ baseband, weights, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(torch.linalg.matrix_norm(weights).square(), torch.full((4, 5), 2.0), rtol=1e-2, atol=0)
    digital = percent(complex_of(precoder), complex_of(DigitalProgram(network)(rows, torch.full((4,), -10.0))[1]))
    assert 0.8 * digital < percent(weights, combiner) < digital


@pytest.fixture
def _in_doubles():
    """In floats rounding alone moves hybrid weights by hundredths: phases depend on the order of close subspaces."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_in_doubles")
def test_one_hybrid_program_answers_each_row_as_the_head_of_its_number_of_chains():
    network = build("none").double()
    heads = list(network.heads.values())
    for place, head in enumerate(heads):
        head.precoder_sweeps.relaxation.data[:] = torch.linspace(0.2, 0.9, 2) / (1 + place)
        head.combiner_sweeps.relaxation.data[:] = torch.linspace(0.1, 0.5, 2) * (1 + place)
    rows = torch.view_as_real(observe(CHANNEL, -10.0)).double()
    numbers = torch.tensor([3, 2, 4, 3])
    with torch.no_grad():
        precoder, _, estimate = DigitalProgram(network)(rows, torch.full((4,), -10.0))
        mixed = HybridProgram(heads)(precoder, estimate, numbers)
        alone = {head.num_chains: HybridProgram([head])(precoder, estimate, numbers) for head in heads}
    for row, num_chains in enumerate(numbers.tolist()):
        for found, expected in zip(mixed, alone[num_chains], strict=True):
            own = expected[row]
            torch.testing.assert_close(found[row][:, : own.shape[1]], own, rtol=0, atol=1e-8)
            assert not found[row][:, own.shape[1] :].any()


def test_unknown_gate_is_named():
    with pytest.raises(ValueError, match=r"gates must be one or more of none, separable.*got \['big'\]"):
        build("big")
