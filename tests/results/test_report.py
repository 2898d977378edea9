import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from sciflow.results import figures, report, table
from tests.results import studies

FACTS = {
    "id": "ab" * 32,
    "engine": "apptainer",
    "isolation": "container",
    "image": {"digest": "sha256:12", "packages": 214},
    "workers": [{"host": "n1", "cpus": 4}, {"host": "n2", "cpus": 8, "kernel": "6.1"}],
    "started": 1_700_000_000,
    "finished": 1_700_000_099.5,
    "sealed_by": ["alice"],
}
NASTY = "</script><script>alert(1)</script><!-- \"'&"
EMPTY = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """What a page says, what it would load, and whether its elements close in order."""

    def __init__(self, text):
        super().__init__()
        self.words, self.loads, self.scripts, self.open, self.tags = [], [], [], [], []
        self.policy = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in {"src", "href", "srcset", "data", "action", "poster"}]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "script" and given.get("type") != "application/json":
            self.scripts.append("")
        if tag not in EMPTY:
            self.open.append((tag, given.get("type")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == ("script", None):
            self.scripts[-1] += data
        elif self.open and self.open[-1][0] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return the page of the digits, with two charts, one failure and one step without a record."""
    folder = tmp_path_factory.mktemp("digits")
    asked = [
        studies.chart("accuracy", "heatmap", "gamma", "c", "accuracy", facet=["kernel"]),
        studies.chart("time", "bar", "c", "training_time"),
        studies.chart("lost", "line", "gamma", "loss"),
    ]
    plan, points, steps, settled = studies.digits(asked)
    settled["train", 7] = studies.record("train", 7, "failed", code=3, reason=f"ValueError: {NASTY}")
    del settled["train", 8]
    tables = table.build(plan, points, steps, settled)
    path = report.write(tables, plan, figures.draw(tables, plan, folder), FACTS, folder)
    return Page(path.read_text(encoding="utf-8"))


def plain(facts, **changes):
    """Return a page without charts."""
    plan, points, steps, settled = studies.digits()
    plan.update(changes)
    return Page(report.render(table.build(plan, points, steps, settled), plan, [], facts))


def bare():
    plan, points, steps, settled = studies.digits()
    return table.build(plan, points, steps, settled), plan


def spaced(facts):
    """Return the words of a page without charts, with a space between elements."""
    return " ".join(" ".join(plain(facts).words).split())


def test_every_element_is_closed(digits):
    assert digits.open == []


def test_the_page_loads_nothing_from_elsewhere(digits):
    assert {load.split(":")[0] for load in digits.loads} == {"data"}


def test_the_policy_forbids_all_but_what_the_page_carries(digits):
    assert digits.policy.startswith("default-src 'none'; script-src 'sha256-")


def test_the_policy_allows_each_script_by_its_digest(digits):
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in digits.scripts]
    assert re.findall(r"'sha256-([^']+)'", digits.policy) == digests


def test_the_runtime_is_there_once(digits):
    assert [len(script) > 500_000 for script in digits.scripts] == [True, False]


def test_each_chart_has_a_picture_for_where_no_script_runs(digits):
    assert sum(load.startswith("data:image/svg+xml;base64,") for load in digits.loads) == 2


def test_the_verdict_counts_steps(digits):
    assert "99 of 101 steps done; 1 failed; 1 without a record; 94 of 96 points complete." in digits.text


def test_the_best_point_stands_with_its_requirement(digits):
    assert "0.999972 point 44:" in digits.text.replace("0.999972point", "0.999972 point")


def test_a_requirement_that_holds_says_how_many_meet_it(digits):
    assert re.search(r"required > 0\.9: holds; \d+ of 94 points meet it", digits.text)


def test_a_chart_that_was_left_out_is_named_with_the_reason(digits):
    assert "The chart lost is left out: no finished point has `loss`." in digits.text


def test_a_failure_is_shown_with_its_reason_word_for_word(digits):
    assert f"ValueError: {NASTY}" in digits.text


def test_a_failure_is_named(digits):
    assert "train/7" in digits.text


def test_the_table_is_cut_at_fifty_aloud(digits):
    assert "The first 50 of 96 points." in digits.text


def test_times_are_in_utc(digits):
    assert "2023-11-14 22:13:20 UTC" in digits.text


def test_nested_facts_are_shown(digits):
    assert "digest: sha256:12, packages: 214" in digits.text


def test_workers_with_different_facts_share_a_table(digits):
    assert "2 workers" in digits.text


def test_how_to_verify_is_said(digits):
    assert "sciflow verify ." in digits.text


def test_the_bundle_is_named(digits):
    assert f"bundle {FACTS['id']}" in digits.text


def test_a_run_on_the_bare_host_is_warned_of():
    assert "Nothing was isolated." in plain({"engine": "host", "isolation": "none"}).text


def test_a_run_in_a_container_is_not_warned_of(digits):
    assert "Nothing was isolated" not in digits.text


def worker(**box):
    """Return what a worker writes of itself, in short."""
    return {
        "worker": "w1", "check": "c0ffee", "start": 1_700_000_000.25, "capacity": {"cpus": 2},
        "box": {"engine": "apptainer", "isolation": "container", "network": "none", "image": None, **box},
        "facts": {"host": "n1", "cpu": "EPYC", "cpus": 8, "flags": ["avx", "sse"], "scheduler": {}}, "envelope": {"t": {"TZ": "UTC"}},
    }  # fmt: skip


def test_a_worker_on_the_bare_host_is_warned_of():
    assert "Nothing was isolated." in plain({"workers": [worker(isolation="none")]}).text


def test_an_image_that_no_worker_entered_is_not_passed_off_as_used():
    assert "image, not used here sha256:12" in spaced({"image": "sha256:12", "workers": [worker(isolation="none")]})


def test_one_bare_worker_among_others_is_warned_of():
    assert "Not all steps were isolated." in plain({"workers": [worker(), worker(isolation="none")]}).text


def test_a_container_with_the_network_of_the_host_is_warned_of():
    assert "The network was open." in plain({"workers": [worker(network="host")]}).text


def test_a_shut_container_is_not_warned_of():
    assert "warning" not in report.render(*bare(), [], {"workers": [worker()]}).split("</style>")[1]


def test_engines_are_gathered_from_the_workers():
    assert "engine apptainer, docker isolation container" in spaced({"workers": [worker(), worker(engine="docker")]})


def test_processor_flags_do_not_fill_the_page():
    assert "avx" not in plain({"workers": [worker()]}).text


def test_what_the_machine_has_is_told_from_what_the_worker_may_use():
    assert {"cpus", "capacity cpus"} <= set(plain({"workers": [worker()]}).words)


def test_the_environment_of_the_steps_is_shown():
    assert "environment of the steps TZ: UTC" in spaced({"workers": [worker()]})


def test_a_page_without_facts_is_a_page():
    assert "101 of 101 steps done" in plain({}).text


def test_a_page_without_charts_runs_no_script():
    assert "script-src 'none'" in plain({}).policy


def test_a_title_cannot_become_an_element():
    assert plain({}, title=NASTY).scripts == []


def test_a_fact_cannot_become_an_element():
    assert plain({NASTY: NASTY, "id": NASTY, "workers": [{NASTY: NASTY}], "sealed_by": NASTY}).scripts == []


def test_a_chart_cannot_end_its_script(tmp_path):
    plan, points, steps, settled = studies.digits([studies.chart("c", "bar", "kernel", "accuracy", title=NASTY)])
    tables = table.build(plan, points, steps, settled)
    page = Page(report.render(tables, plan, figures.draw(tables, plan, tmp_path), {}))
    assert len(page.scripts) == 2


def test_dollars_are_not_taken_for_places_of_the_page():
    assert "$body costs $5" in plain({}, title="$body costs $5").text


def test_a_declared_metric_that_nothing_gave_is_named():
    assert "No finished step gave loss ." in plain({}, metrics=[studies.metric("loss")]).text.replace("loss.", "loss .")


def test_the_same_arguments_give_the_same_page(tmp_path):
    plan, points, steps, settled = studies.digits([studies.chart("c", "line", "gamma", "accuracy", color="kernel")])
    tables = table.build(plan, points, steps, settled)
    pages = [report.write(tables, plan, figures.draw(tables, plan, tmp_path / at), FACTS, tmp_path / at) for at in "ab"]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_half_a_surrogate_pair_in_a_fact_is_written(tmp_path):
    plan, points, steps, settled = studies.digits()
    path = report.write(table.build(plan, points, steps, settled), plan, [], {"host": "\ud800"}, tmp_path)
    assert "\\ud800" in path.read_text(encoding="utf-8")
