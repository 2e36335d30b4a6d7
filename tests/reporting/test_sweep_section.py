"""The section Sweep: what may and may not be concluded, in words and in figures."""

from figure_samples import texts
from loralab.reporting import sweep_figures
from loralab.reporting.report import _environment
from loralab.reporting.sweep_section import sweep_section
from sweep_samples import sweep_summary


def section(**options) -> dict:
    return sweep_section(sweep_summary(**options))


def the_one(sentences: list[str], name: str) -> str:
    (found,) = [sentence for sentence in sentences if f"`{name}`" in sentence]
    return found


def test_a_clear_difference_is_told_with_its_interval_and_its_test():
    found = the_one(section()["conclusions"], "head only")
    assert found == (
        "`head only` is worse than the reference by 18.0 points (95 % interval -24.0 points to "
        "-12.0 points; paired permutation test, p adjusted for all arms < 0.001)."
    )


def test_a_difference_whose_interval_reaches_0_may_be_luck():
    found = the_one(section()["conclusions"], "lora.rank=64")
    assert "another seed may undo it" in found
    assert "better" not in found


def test_no_difference_is_not_called_equality():
    found = the_one(section()["conclusions"], "lora.rank=2")
    assert found.startswith("Not told from the reference")
    assert "does not show that they are equal: differences of up to 3.0 points" in found


def test_arms_on_other_messages_are_named_and_not_compared():
    assert not [s for s in section()["conclusions"] if "split.seed" in s]
    assert "other test messages" in the_one(section()["limits"], "split.seed=7")


def test_what_few_seeds_cannot_tell_is_said():
    assert any("trained once" in limit for limit in section(seeds=1)["limits"])
    assert any(limit.startswith("3 seeds hardly") for limit in section(seeds=3)["limits"])
    assert not [limit for limit in section(seeds=5)["limits"] if "seeds" in limit]


def test_arms_are_held_against_the_reference_alone():
    assert "against the reference alone" in section()["limits"][0]


def rendered(**options) -> str:
    return _environment().get_template("sweep.md.j2").render(sweep=section(**options))


def test_the_table_has_a_row_an_arm_with_its_test():
    rows = [line for line in rendered().splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 5
    assert rows[3].startswith("| head only | – | 74.0 % | 1.0 % |")
    assert rows[3].endswith("| -18.0 points | -24.0 to -12.0 points | < 0.001 | < 0.001 |")
    assert rows[2].endswith("| – | – | – | – |")


def test_without_a_second_seed_there_is_no_spread():
    text = rendered(seeds=1)
    assert "each trained with 1 seed and measured on the same test messages" in text
    assert "| head only | – | 74.0 % | – |" in text


def test_of_one_test_message_there_is_no_interval():
    sweep = sweep_summary()
    for arm in sweep["arms"]:
        arm["accuracy"]["ci95_messages"] = None
        if arm["against"]:
            arm["against"]["ci95"] = None
    text = _environment().get_template("sweep.md.j2").render(sweep=sweep_section(sweep))
    assert "| lora.rank=2 | 12,546 | 91.0 % | 1.0 % | – |" in text
    assert "That does not show that they are equal." in text
    assert "92.0 %" in texts(sweep_figures.draw_sweep_overview(sweep))
    assert "lora.rank" in texts(sweep_figures.draw_sweep_curves(sweep))


def test_without_a_curve_there_is_no_figure_of_one():
    assert "sweep_curves.png" in rendered()
    assert "sweep_curves.png" not in rendered(curves=False)


def test_without_a_sweep_there_is_no_section():
    assert _environment().get_template("sweep.md.j2").render(sweep=None).strip() == ""


# Figures


def test_the_overview_names_every_arm_with_its_mean():
    said = texts(sweep_figures.draw_sweep_overview(sweep_summary()))
    for words in ("reference", "head only", "lora.rank=64", "92.0 %", "95.0 %", "mean of 3 seeds"):
        assert words in said


def test_the_overview_draws_every_training():
    axes = sweep_figures.draw_sweep_overview(sweep_summary()).axes[0]
    circles = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in circles] == [3] * 5


def test_one_seed_has_an_interval_over_messages():
    assert "one seed" in texts(sweep_figures.draw_sweep_overview(sweep_summary(seeds=1)))


def test_a_curve_stands_at_its_values():
    figure = sweep_figures.draw_sweep_curves(sweep_summary())
    (axes,) = figure.axes
    (curve,) = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert list(curve.get_xdata()) == [2, 8, 64]
    assert list(curve.get_ydata()) == [0.91, 0.92, 0.95]
    assert "lora.rank" in texts(figure)


def test_no_curve_is_said_in_words():
    assert "took three numbers" in texts(
        sweep_figures.draw_sweep_curves(sweep_summary(curves=False))
    )
