"""What people, files, servers, messages and stored bytes get wrong, and where the test of each stands.

``test_bad_inputs.py`` tries most of 1 to 92, and names each case by its number; the others stand here, with 93 to 240. A test
that is renamed takes its line along.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.config import RunnableConfig
from distgraph.graph import END, START, StateGraph
from distgraph.ledger.places import Place
from distgraph.testing import InProcessCluster

pytestmark = pytest.mark.acceptance

TESTS = Path(__file__).resolve().parents[1]


class State(TypedDict):
    n: int


#: Number -> file::test, from tests/ on.
WHERE: dict[int, str] = {
    # A to C: graphs, configs and results, as far as they need workers
    13: "unit/graph/test_storable.py::test_whoever_misses_a_graph_is_told_what_keeps_workers_from_it",
    14: "unit/graph/test_storable.py::test_what_is_defined_in_main_is_a_lint_of_graphs_that_workers_are_to_know",
    52: "unit/cluster/test_handle.py::test_what_is_not_asked_is_not_answered",
    53: "unit/cluster/test_handle.py::test_an_answer_to_a_question_that_was_answered_meanwhile_is_refused",
    54: "integration/cluster/test_threads.py::test_fifty_invocations",
    64: "unit/ledger/test_keys.py::test_a_namespace_that_would_leak_is_refused",
    65: "unit/cluster/test_crossing.py::test_all_that_cannot_travel_is_named_at_once",
    66: "unit/cluster/test_crossing.py::test_a_config_that_cannot_travel",
    90: "unit/cluster/test_sizes.py::test_a_value_may_be_as_large_as_the_limit",
    # D: files of items
    93: "unit/cli/test_lines.py::test_a_missing_file_is_named",
    94: "unit/cli/test_lines.py::test_a_directory_is_no_file",
    95: "unit/cli/test_lines.py::test_a_file_without_permission_is_named",
    96: "unit/cli/test_batch.py::test_no_items_is_a_warning",
    97: "unit/cli/test_items.py::test_a_file_without_items_has_none",
    98: "unit/cli/test_batch.py::test_a_bad_line_stops_everything_before_it_begins",
    99: "unit/cli/test_lines.py::test_the_last_line_may_come_without_an_end_and_says_so",
    100: "unit/cli/test_jsonl.py::test_a_last_line_that_stops_in_the_middle_may_be_truncated",
    101: "unit/cli/test_lines.py::test_lf_crlf_and_cr_all_end_a_line_also_mixed",
    102: "unit/cli/test_lines.py::test_the_mark_of_utf8_is_left_out",
    103: "unit/cli/test_lines.py::test_other_encodings_are_named",
    104: "unit/cli/test_jsonl.py::test_latin1_is_shown_with_the_byte_and_its_place_in_the_file",
    105: "unit/cli/test_jsonl.py::test_a_nul_byte_is_shown_with_its_place",
    106: "unit/cli/test_jsonl.py::test_overlong_and_impossible_utf8_is_refused",
    107: "unit/cli/test_lines.py::test_a_line_beyond_the_limit_is_counted_in_full_and_kept_in_part",
    108: "unit/cli/test_items.py::test_memory_stays_flat_however_long_a_line_is",
    109: "unit/cli/test_jsonl.py::test_only_objects_are_items",
    110: "unit/cli/test_jsonl.py::test_the_first_line_tells_what_the_file_is_instead",
    111: "unit/cli/test_jsonl.py::test_a_key_that_comes_twice_is_refused_at_any_depth",
    112: "unit/cli/test_jsonl.py::test_what_python_reads_and_json_does_not_know_is_refused",
    113: "unit/cli/test_jsonl.py::test_a_float_beyond_range_is_refused_rather_than_read_as_infinity",
    114: "unit/cli/test_jsonl.py::test_absurd_nesting_is_a_complaint_and_no_crash",
    115: "unit/cli/test_batch.py::test_without_an_id_each_submission_gets_its_own",
    116: "unit/cli/test_items.py::test_the_same_item_twice_under_one_key_counts_once",
    117: "unit/cli/test_items.py::test_another_item_under_the_same_key_names_both_lines",
    118: "unit/cli/test_items.py::test_keys_that_only_look_the_same_are_different_and_counted",
    119: "unit/cli/test_items.py::test_what_cannot_be_a_key_is_refused",
    120: "unit/cli/test_items.py::test_any_text_is_a_key_and_never_a_path",
    121: "unit/cli/test_items.py::test_what_cannot_be_a_key_is_refused",
    123: "unit/cli/test_lines.py::test_every_way_to_cut_a_compressed_file_short_is_noticed",
    124: "unit/cli/test_lines.py::test_a_decompression_bomb_is_refused",
    125: "unit/cli/test_lines.py::test_gzip_is_told_by_its_content_and_all_members_are_read",
    126: "unit/cli/test_lines.py::test_other_formats_are_named_with_what_to_do",
    127: "unit/cli/test_items.py::test_a_file_that_grows_between_check_and_submission_is_refused",
    128: "unit/cli/test_lines.py::test_a_fifo_is_refused_without_waiting_for_its_writer",
    129: "unit/cli/test_app.py::test_output_that_nobody_reads_any_more_ends_quietly",
    130: "unit/cli/test_results.py::test_a_file_that_is_there_is_kept_unless_told_otherwise",
    131: "unit/cli/test_results.py::test_the_items_are_never_replaced_by_their_results",
    132: "unit/cli/test_results.py::test_a_full_disk_is_told_with_what_to_do_and_leaves_nothing",
    133: "unit/cli/test_batch.py::test_an_id_with_other_content_is_refused",
    134: "unit/cluster/test_batch.py::test_other_options_under_the_same_id_are_refused",
    136: "unit/cluster/test_batch.py::test_the_same_again_goes_on_with_what_is_there",
    135: "unit/cli/test_batch.py::test_an_unknown_batch_is_a_wrong_name",
    137: "unit/cli/test_batch.py::test_ctrl_c_while_watching_detaches_and_says_how_to_come_back",
    138: "unit/cli/test_items.py::test_a_file_that_is_something_else_gets_a_hint",
    139: "unit/cli/test_batch.py::test_out_writes_a_row_for_every_item_in_order",
    140: "unit/cli/test_batch.py::test_of_many_failures_a_summary_is_shown_and_not_a_flood",
    # E: command line and environment
    141: "unit/cli/test_app.py::test_without_a_command_there_is_help_and_a_usage_error",
    142: "unit/cli/test_app.py::test_what_is_misspelt_gets_a_suggestion",
    143: "unit/cli/test_up.py::test_absurd_numbers_are_refused",
    144: "unit/cli/test_check.py::test_a_reference_of_another_form_is_a_usage_error",
    145: "unit/cli/test_check.py::test_a_module_that_needs_one_that_is_not_there",
    146: "unit/cli/test_check.py::test_a_name_that_is_not_there_gets_suggestions",
    147: "unit/cli/test_check.py::test_what_is_no_compiled_graph_is_told_what_it_is",
    148: "unit/cli/test_check.py::test_what_a_module_prints_does_not_get_into_the_answer",
    149: "unit/cli/test_app.py::test_an_empty_variable_counts_as_not_set_and_is_noted",
    150: "unit/cli/test_app.py::test_an_option_wins_over_the_environment_wherever_it_stands",
    153: "unit/cli/test_app.py::test_help_works_on_any_terminal",
    154: "acceptance/test_bad_inputs_elsewhere.py::test_154_a_home_that_cannot_be_written",
    155: "unit/workers/test_settings.py::test_all_wrong_settings_are_reported_at_once",
    158: "unit/cluster/celery/test_surroundings.py::test_a_worker_that_runs_as_root_says_so",
    159: "unit/cluster/celery/test_surroundings.py::test_other_releases_are_refused_by_name",
    157: "unit/cli/test_app.py::test_an_error_in_the_middle_of_a_long_json_answer_keeps_it_valid",
    160: "chaos/test_limits.py::test_a_pool_that_cannot_stop_a_node_says_so",
    161: "unit/cluster/test_liveness.py::test_a_slot_is_named_by_worker_process_and_row",
    162: "unit/cluster/test_registry.py::test_a_module_without_graphs",
    # F: the server and the way to it
    **dict.fromkeys((163, 164, 165, 166, 168), "unit/ledger/test_url.py::test_bad_addresses_say_what_is_wrong"),
    167: "unit/ledger/test_url.py::test_unescaped_characters_are_explained",
    169: "unit/ledger/test_check.py::test_a_host_that_does_not_exist",
    170: "unit/ledger/test_check.py::test_nobody_listens",
    171: "integration/ledger/test_connection.py::test_users_with_few_rights",
    172: "unit/ledger/test_check.py::test_a_tls_port_reached_in_plain_text",
    173: "integration/ledger/test_connection.py::test_tls",
    174: "unit/ledger/test_check.py::test_a_web_server",
    175: "unit/ledger/test_check.py::test_one_that_is_too_old",
    176: "unit/ledger/test_check.py::test_a_fork_is_judged_by_what_it_is_compatible_with",
    **dict.fromkeys((177, 178), "unit/ledger/test_check.py::test_clusters_and_sentinels_are_refused"),
    179: "unit/ledger/test_check.py::test_a_replica_names_its_primary",
    180: "unit/ledger/test_check.py::test_scripts_that_are_renamed_or_disabled",
    181: "unit/ledger/test_check.py::test_eviction_is_refused_unless_allowed",
    182: "unit/ledger/test_doctor.py::test_the_persistence_level_is_named",
    183: "integration/ledger/test_connection.py::test_too_many_clients",
    184: "integration/ledger/test_connection.py::test_a_server_that_loads_its_data",
    185: "integration/ledger/test_connection.py::test_replies_are_bytes",
    186: "integration/test_redis_saver.py::test_namespaces_keep_users_of_one_server_apart",
    # G: what is stored
    **dict.fromkeys((187, 189), "unit/wire/test_envelope.py::test_every_truncation_is_noticed"),
    188: "unit/wire/test_envelope.py::test_what_others_wrote_is_refused",
    190: "unit/wire/test_envelope.py::test_every_flipped_bit_is_noticed",
    191: "unit/wire/test_envelope.py::test_a_wrong_length_is_noticed",
    192: "unit/wire/test_envelope.py::test_a_newer_format_is_told_from_damage",
    193: "unit/wire/test_codec.py::test_an_unknown_kind_is_named",
    194: "unit/wire/test_codec.py::test_a_type_id_is_only_looked_up",
    195: "unit/wire/test_codec.py::test_decoding_imports_nothing",
    196: "unit/wire/test_envelope.py::test_a_bomb_is_not_unfolded",
    197: "unit/wire/test_envelope.py::test_with_a_secret_unsigned_bytes_are_refused",
    198: "conformance/ledger/test_promises.py::test_a_key_of_a_wrong_type_leaves_nothing_half_done",
    199: "conformance/checkpoint/test_history.py::test_odd_parents_hide_nothing",
    **dict.fromkeys(
        (206, 207, 210),
        "integration/cluster/test_damaged_records.py::test_a_damaged_record_is_named_and_left_as_it_is",
    ),
    205: "integration/cluster/test_damaged_records.py::test_205_a_run_that_says_running_and_has_nothing_left_to_do",
    212: "integration/test_redis_saver_damage.py::test_a_deletion_that_was_cut_short_is_finished_by_the_next",
    200: "integration/test_redis_saver_damage.py::test_a_missing_value_is_named",
    **dict.fromkeys((202, 203, 204), "unit/cluster/test_versions.py::test_another_version_takes_it_over"),
    201: "acceptance/test_bad_inputs_elsewhere.py::test_201_writes_of_nobody_s_are_passed_over",
    211: "conformance/checkpoint/test_pruning.py::test_the_last_ones_stay_and_are_whole",
    209: "unit/ledger/test_keys.py::test_namespaces_are_apart",
    # H: messages
    **dict.fromkeys(
        (213, 214, 215, 216, 217, 218, 221, 224, 225, 227, 228),
        "integration/cluster/test_messages.py::test_a_worker_outlives_it",
    ),
    **dict.fromkeys(
        (219, 220), "integration/cluster/test_messages.py::test_219_220_an_epoch_or_step_that_is_not_the_runs"
    ),
    222: "integration/cluster/test_secret.py::test_a_run_signed_with_another_secret_fails_and_holds_up_nobody",
    223: "integration/cluster/test_messages.py::test_223_a_large_one",
    226: "integration/cluster/test_messages.py::test_226_very_many",
    # I: what the process runs in
    229: "acceptance/test_bad_inputs_elsewhere.py::test_229_a_clock_that_jumps",
    230: "chaos/test_surroundings.py::test_changes_of_the_time_zone_move_no_checkpoint",
    232: "chaos/test_surroundings.py::test_a_worker_that_may_open_few_files_works",
    233: "chaos/test_surroundings.py::test_a_worker_that_cannot_log_works",
    234: "unit/cluster/celery/test_surroundings.py::test_a_machine_without_shared_semaphores_has_threads_at_least",
    238: "chaos/test_surroundings.py::test_a_process_that_was_broken_is_given_up",
    239: "chaos/test_surroundings.py::test_a_node_may_print_and_replace_what_it_likes",
    231: "integration/ledger/test_direct.py::test_a_forked_child_has_connections_of_its_own",
    236: "compat/ledger/test_replay.py::test_fingerprints_are_computed_as_they_were",
    235: "compat/ledger/test_replay.py::test_fingerprints_are_computed_as_they_were",
    237: "unit/cluster/celery/test_tidy.py::test_handlers_and_directory_are_put_back",
    240: "chaos/test_limits.py::test_a_worker_whose_node_replaced_its_signal_handlers_still_drains",
}

#: There is no such thing here: no limits of nodes and of tasks in a superstep, no configuration files, no ``--since``, no
#: import of checkpoints of others.
NOTHING = frozenset({33, 81, 122, 151, 152, 156, 208})
#: How ``test_bad_inputs.py`` names what it tries.
NAMED = re.compile(r'^    "(\d+) |^def test_(\w+)', re.MULTILINE)


def tried() -> set[int]:
    """The numbers that ``test_bad_inputs.py`` has."""
    found = NAMED.findall((TESTS / "acceptance/test_bad_inputs.py").read_text())
    return {int(number) for case, name in found for number in [case, *name.split("_")] if number.isdigit()}


def test_154_a_home_that_cannot_be_written() -> None:
    nowhere = {**os.environ, "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, "-m", "distgraph", "check", "distgraph.examples.chain:graph"]
    done = subprocess.run(command, env=nowhere, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_201_writes_of_nobody_s_are_passed_over() -> None:
    """Of a task that the checkpoint does not plan, and to a channel that the graph does not have."""
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}
    builder = StateGraph(State).add_node("a", lambda state: {"n": state["n"] + 1}).add_edge(START, "a")
    graph: Any = builder.compile(checkpointer=saver, interrupt_before=["a"])
    graph.invoke({"n": 1}, config)
    saver.put_writes(graph.get_state(config).config, [("n", 7), ("nowhere", 8)], "f" * 36)
    assert (graph.get_state(config).values, graph.get_state(config).next) == ({"n": 1}, ("a",))
    assert graph.invoke(None, config) == {"n": 2}


@pytest.mark.parametrize("where", ["here", "workers"])
@pytest.mark.parametrize("days", [-1, 1])
def test_229_a_clock_that_jumps(monkeypatch: pytest.MonkeyPatch, where: str, days: int) -> None:
    """A day ahead or back between any two supersteps: the result and the order of the history stay."""
    looks, jump = count(), days * 86_400

    def seconds() -> float:
        return 1.8e9 + (jump if next(looks) % 2 else 0)

    builder = StateGraph(State).add_node("a", lambda state: {"n": state["n"] + 1}).add_edge(START, "a")
    builder.add_conditional_edges("a", lambda state: "a" if state["n"] < 9 else END, ["a", END])
    if where == "here":
        monkeypatch.setattr("distgraph.engine.session.time_ns", lambda: int(seconds() * 1e9))
        saver, config = InMemorySaver(), RunnableConfig(configurable={"thread_id": "t"})
        assert builder.compile(checkpointer=saver).invoke({"n": 1}, config) == {"n": 9}
        ids = [one.checkpoint["id"] for one in saver.list(config)]
    else:
        cluster = InProcessCluster([builder.compile(name="jumps")])
        for slot in cluster.slots:
            slot.place.now = seconds
        run = cluster.submit("jumps", {"n": 1}, keep="all")
        cluster.run_until_idle()
        assert run.result(0) == {"n": 9}
        ids = cluster.memory.lines.history(Place(run.thread_id), most=99)
    assert len(ids) == 10
    assert ids == sorted(set(ids), reverse=True)


def test_every_number_has_its_place() -> None:
    assert tried() | set(WHERE) | NOTHING == set(range(1, 241))
    assert not ((tried() | set(WHERE)) & NOTHING)


@pytest.mark.parametrize("place", sorted(set(WHERE.values())))
def test_the_test_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert re.search(rf"^\s*(async )?def {name}\(", (TESTS / file).read_text(), re.MULTILINE)
