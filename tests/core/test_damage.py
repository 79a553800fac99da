import cv2
import numpy as np
import pytest

from edgemood import damage

NAMES = ["dark", "blur", "tiny24", "jpeg15", "noise", "rot15", "shift4"]


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Smooth random pictures, uint8 [20, 48, 48]."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (20, 6, 6), dtype=np.uint8)
    return np.stack([cv2.resize(image, (48, 48)) for image in small])


def test_the_suite_has_these_damages_in_this_order():
    assert list(damage.suite()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_damage_takes_and_gives_uint8_and_leaves_its_input_alone(name, faces):
    before = faces.copy()
    damaged = damage.suite()[name](faces)
    assert damaged.dtype == np.uint8
    assert damaged.shape == faces.shape
    assert (damaged != faces).any()
    assert (faces == before).all()


@pytest.mark.parametrize("name", NAMES)
def test_batches_in_order_are_damaged_like_the_whole_set(name, faces):
    whole, parts = damage.suite()[name](faces), damage.suite()[name]
    batches = [parts(faces[:7]), parts(faces[7:13]), parts(faces[13:])]
    assert (np.concatenate(batches) == whole).all()


@pytest.mark.parametrize(
    ("level", "dark"),
    [
        pytest.param(0, 0, id="black stays"),
        pytest.param(100, 35, id="35 of 100"),
        pytest.param(255, 89, id="89.25 is truncated"),
        pytest.param(2, 0, id="0.7 is truncated, not rounded"),
    ],
)
def test_dark(level, dark):
    image = np.full((1, 48, 48), level, np.uint8)
    assert (damage.suite()["dark"](image) == dark).all()


def test_blur_spreads_a_point_as_a_gaussian_of_one_and_a_half_pixels():
    image = np.zeros((1, 48, 48), np.uint8)
    image[0, 24, 24] = 255
    blurred = damage.suite()["blur"](image)[0].astype(float)
    centre = 255 / (2 * np.pi * 1.5**2)
    assert blurred[24, 24] == pytest.approx(centre, abs=1)
    assert blurred[24, 26] == pytest.approx(centre * np.exp(-(2**2) / (2 * 1.5**2)), abs=1)


def test_tiny24_keeps_no_detail_finer_than_two_pixels():
    image = np.indices((48, 48)).sum(axis=0) % 2 * 200
    tiny = damage.suite()["tiny24"](image[None].astype(np.uint8))
    assert (tiny == 100).all()


def test_jpeg15_is_a_round_trip_at_quality_15(faces):
    coded = cv2.imencode(".jpg", faces[0], [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    wanted = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    assert (damage.suite()["jpeg15"](faces[:1])[0] == wanted).all()


def test_noise_has_a_deviation_of_20_and_is_clipped():
    gray = damage.suite()["noise"](np.full((20, 48, 48), 128, np.uint8)).astype(float)
    assert gray.mean() == pytest.approx(128, abs=0.5)
    assert gray.std() == pytest.approx(20, abs=0.3)
    black = damage.suite()["noise"](np.zeros((20, 48, 48), np.uint8))
    assert (black == 0).mean() == pytest.approx(0.5, abs=0.02)


def test_noise_is_that_of_seed_0(faces):
    wanted = faces + np.random.default_rng(0).normal(0, 20, faces.shape)
    assert (damage.suite()["noise"](faces) == np.clip(wanted.round(), 0, 255)).all()


def test_rot15_turns_about_the_centre_and_repeats_the_edge():
    image = np.full((1, 48, 48), 50, np.uint8)
    cv2.circle(image[0], (40, 24), 2, 250, -1)  # 16.5 px to the right of the centre
    turned = damage.suite()["rot15"](image)[0]
    row, column = np.unravel_index(cv2.GaussianBlur(turned, (0, 0), 1).argmax(), turned.shape)
    angle = np.radians(15)
    assert column == pytest.approx(23.5 + 16.5 * np.cos(angle), abs=1)
    assert row == pytest.approx(24 - 16.5 * np.sin(angle), abs=1)  # counter-clockwise is up
    assert turned.min() == 50


def test_shift4_moves_right_and_wraps(faces):
    shifted = damage.suite()["shift4"](faces)
    assert (shifted[:, :, 4:] == faces[:, :, :-4]).all()
    assert (shifted[:, :, :4] == faces[:, :, -4:]).all()
