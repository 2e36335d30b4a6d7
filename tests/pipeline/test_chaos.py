"""The short form of `make chaos`: a few kills, and the same content in the end."""

from chaos import Chaos


def test_killed_at_random_moments_it_ends_with_the_content_of_an_uninterrupted_run(
    finished, tmp_path
):
    chaos = Chaos(tmp_path, finished, seed=7)
    chaos.kill(5)
    assert chaos.killed.total() >= 5 and chaos.complete_runs >= 1
