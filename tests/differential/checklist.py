"""The peer's behaviour in twenty lines that whoever builds it anew gets wrong first, and what shows each of them."""

from __future__ import annotations

CHECKLIST: dict[str, str | tuple[str, ...]] = {
    "1 order of parallel writers and Sends": (
        "building.parallel_writes_are_applied_by_name",
        "building.sends_beside_plain_nodes",
    ),
    "2 a branch sees its own writes, raises in its node's scope": (
        "building.a_branch_sees_its_own_nodes_writes_only",
        "lines.a_branch_is_tried_again_with_its_node",
    ),
    "3 edges, joins, loops": (
        "building.two_edges_fire_twice_a_list_once",
        "building.a_join_in_a_loop_arms_again",
    ),
    "4 resume after a partial failure; new input": (
        "threads.failures_and_recovery",
        "threads.new_input_discards_unfinished_tasks",
    ),
    "5 the same run id": "threads.run_ids_make_inputs_idempotent",
    "6 recursion limit": ("running.recursion_limits", "threads.recursion_can_be_continued"),
    "7 questions": (
        "threads.asking",
        "threads.several_questions",
        "threads.answers_of_all_kinds",
        "threads.questions_and_retries",
        "lines.answers_to_unknown_questions",
        "lines.live_and_recorded_states",
    ),
    "8 Overwrite": "building.overwriting",
    "9 payloads": (
        "running.all_modes_of_a_line",
        "running.several_writes_to_one_key",
        "keeping.chunks_of_a_cached_result",
        "threads.breakpoints",
    ),
    "10 states and their updates": (
        "lines.live_and_recorded_states",
        "threads.updates_as_end",
        "threads.copies",
        "threads.ambiguous_updates",
    ),
    "11 ids and versions": (
        "conformance/checkpoint/test_checkpoints.py::test_versions_grow_and_differ_between_branches",
        "unit/superstep/test_identity.py::test_versions_sort_and_differ_between_forks",
        "acceptance/test_bad_inputs_elsewhere.py::test_229_a_clock_that_jumps",
    ),
    "12 a redelivered task changes nothing": (
        "conformance/checkpoint/test_writes.py::test_the_first_output_of_a_task_stands_as_a_whole",
        "conformance/ledger/test_tasks.py::test_the_first_valid_settlement_wins",
    ),
    "13 zombies": (
        "chaos/test_kills.py::test_a_worker_that_was_taken_for_dead_comes_back",
        "conformance/ledger/test_tasks.py::test_a_settlement_of_another_superstep_or_epoch_is_refused",
        "simulation/test_simulation.py::test_every_invariant_holds",
    ),
    "14 kills at every point": (
        "chaos/test_points.py::test_every_promise_holds_wherever_it_strikes",
        "chaos/test_comings_and_goings.py::test_a_submitter_is_killed_and_the_same_call_goes_on",
        "chaos/test_server.py::test_killed_and_restarted_in_the_middle_of_a_batch",
    ),
    "15 a handler is resumed": (
        "unit/engine/test_handlers.py::test_a_handler_that_fails_fails_the_run_and_goes_on_from_there",
        "unit/cluster/test_attempt.py::test_the_node_does_not_run_again_when_its_handler_dies",
    ),
    "16 nested graphs": (
        "nesting.own_histories",
        "nesting.graphs_within_nodes",
        "nesting.commands_to_the_parent",
        "page A retry resumes",
    ),
    "17 mutation": (
        "unit/engine/test_mutation.py::test_debugging_reports_who_changes_the_state_behind_its_back",
        "page Inputs of nodes are copies there",
    ),
    "18 what crosses processes": (
        "page What cannot travel",
        "lines.untracked_values",
        "unit/cluster/test_crossing.py::test_all_that_cannot_travel_is_named_at_once",
        "integration/cluster/test_stores.py::test_nodes_on_all_workers_have_one_store",
    ),
    "19 exceptions survive the way": (
        "integration/cluster/test_failures.py::test_a_failed_run_goes_on_where_it_failed",
        "unit/cluster/test_failures.py::test_a_type_that_is_loaded_here_comes_back_as_itself",
        "unit/cluster/test_failures.py::test_nothing_is_imported",
        "unit/cluster/test_failures.py::test_notes_come_along",
    ),
    "20 graphs that workers do not have": (
        "unit/graph/test_storable.py::test_what_is_defined_in_main_is_a_lint_of_graphs_that_workers_are_to_know",
        "unit/graph/test_storable.py::test_whoever_misses_a_graph_is_told_what_keeps_workers_from_it",
        "unit/cluster/test_client.py::test_a_graph_that_was_never_served_is_refused_with_a_guess",
        "lines.a_limit_that_is_the_default",
    ),
}
