"""How the peer behaves, line by line, and what shows that it is so here: a test, or a row of ops/docs/differences.md.

Section numbers are those of the survey of the peer that this library was built after. A reference is a program of this
folder (``running.inputs``), a test (``unit/engine/test_sync.py::test_...``), a bad input (``bad 75``), or the beginning
of a row or sentence of the page of differences (``page A retry resumes``).
"""

from __future__ import annotations

from typing import NamedTuple

from tests.differential.checklist import CHECKLIST


class Line(NamedTuple):
    """One line of behaviour."""

    section: str
    says: str
    shown_by: tuple[str, ...]


#: section -> what is said -> what shows it
TABLE: dict[str, dict[str, str | tuple[str, ...]]] = {
    "0": {
        "ids of the first and of later questions of a task": (
            "unit/superstep/test_identity.py::test_questions_of_one_task_have_different_ids"
        ),
        "response_schema: checked on resume, siblings may finish": (
            "unit/engine/test_answers.py::test_an_answer_that_does_not_fit_is_refused_and_the_question_still_waits"
        ),
        "strict resume": "names.strict_answers",
        "a task has finished when it wrote something itself": (
            "unit/superstep/test_model.py::test_a_task_has_finished_when_it_wrote_something_itself"
        ),
        "writes in the order of whole paths": (
            "conformance/checkpoint/test_writes.py::test_tasks_come_in_the_order_of_their_paths"
        ),
        "going on at an explicit checkpoint: latest or superseded": "lines.going_on_at_a_checkpoint_that_is_named",
        "a Command in the past goes to a fork": "lines.a_command_at_an_old_checkpoint",
        "breakpoint before drain": "lines.a_drain_before_a_breakpoint",
        "questions and retries": "threads.questions_and_retries",
        "only finished writes are cached, hits are pending writes too": (
            "keeping.failures_and_questions_are_not_kept",
            "keeping.cached_routing_and_pending_writes",
        ),
        "the last checkpoint is streamed": "lines.the_last_checkpoint_is_streamed",
        "a failure is streamed before it is raised": "lines.a_failure_is_streamed_before_it_is_raised",
        "live and historic view": "lines.live_and_recorded_states",
        "several updates have ids of their own": "threads.bulk_updates",
        "an explicit limit equal to the default": "lines.a_limit_that_is_the_default",
        "DeltaChannel": ("growing.the_state_at_every_superstep", "page A `DeltaChannel` is stored"),
    },
    "1.1": {
        "arguments, older names": "unit/graph/test_state.py::test_older_names_of_arguments_work_with_a_warning",
        "what a builder shows": "lines.what_builders_show",
        "a dict or a list is no schema": "building.schema_mistakes",
        "TypedDict: absent keys, empty reducers": "building.typed_dict_views",
        "dataclass: defaults in the view only": "building.dataclass_views",
        "any annotated class": "lines.any_annotated_class",
        "a bare type is __root__": "building.root_state",
        "pydantic: validated when an input is built, not when written": (
            "building.pydantic_views",
            "building.pydantic_validates_inputs_of_nodes",
        ),
        "reducers: two positional parameters": "building.schema_mistakes",
        "reducers: initial value, abstract containers": "building.typed_dict_views",
        "reducers: a type without an empty value": (
            "unit/channels/test_binop.py::test_where_the_type_has_no_empty_value_the_first_update_starts",
            "page An `Overwrite` is never itself the value",
        ),
        "channels in annotations": "lines.channels_in_annotations",
        "one key in several schemas": (
            "building.schema_mistakes",
            "unit/graph/test_state.py::test_a_key_without_reducer_takes_the_rule_of_another_schema",
        ),
        "managed values": ("building.computed_values", "building.schema_mistakes"),
        "Overwrite, in all its forms and orders": (
            "building.overwriting",
            "unit/test_types.py::test_an_overwrite_is_told_by_its_json_too",
        ),
        "private channels; values show them, results do not": "building.private_channels",
        "messages: by id, removed, named before they are stored": (
            "running.messages",
            "growing.conversations_in_a_delta_channel",
            "speaking.pushed_messages",
            "speaking.user_interface",
        ),
    },
    "1.2": {
        "a node's function, as programs look at it": "moving.functions_of_nodes",
        "names: inferred, reserved, taken": (
            "building.callables",
            "building.builder_mistakes",
            "bad 3",
            "bad 6",
            "bad 8",
        ),
        "actions of all kinds": ("building.callables", "names.a_dict_of_callables_is_a_node"),
        "generators: the last value": ("building.generators", "running.async_nodes"),
        "defer": "building.deferred_nodes",
        "metadata of woken and sent tasks": "lines.metadata_of_nodes",
        "input_schema wins over the annotation": "unit/graph/test_state.py::test_arguments_win_over_annotations",
        "retry policies share one counter": "running.retries",
        "cache policy: namespace, key, what is kept": (
            "keeping.a_result_is_used_again",
            "page Cached results belong",
        ),
        "error handlers: place, edges, failures, resumption": (
            "differential/test_events.py::test_conversations_agree",
            "unit/engine/test_handlers.py::test_a_handler_that_fails_fails_the_run_and_goes_on_from_there",
            "page An error handler that has finished",
        ),
        "destinations are drawn, and checked": ("building.drawings", "building.compile_mistakes"),
        "timeouts: async nodes, checked at compile": "building.compile_mistakes",
        "trace policies change nothing": "lines.policies_that_change_nothing",
        "Command[Literal] declares destinations": (
            "building.drawings",
            "unit/graph/test_hints.py::test_a_command_may_be_one_member_of_a_union",
        ),
        "injection by name and annotation": (
            "unit/engine/test_call.py::test_extra_arguments_are_injected_by_name",
            "unit/engine/test_call.py::test_a_config_of_another_type_is_not_injected_and_is_warned_about",
        ),
        "node defaults": (
            "keeping.defaults_reach_nodes_without_a_policy",
            "lines.defaults_are_not_for_nested_graphs",
            "unit/graph/test_declarations.py::test_handlers_take_retries_and_timeouts_from_the_defaults_and_nothing_else",
            "page A builder with a default error handler",
        ),
        "what nodes may return": (
            "building.node_results",
            "building.nodes_return_instances",
            "page A key that no schema",
        ),
        "conditional edges run, fail and are tried again with their node": (
            "lines.a_branch_is_tried_again_with_its_node"
        ),
    },
    "1.3": {
        "edges fire once a superstep, twice in two": "building.two_edges_fire_twice_a_list_once",
        "no edge leaves END or enters START": "building.builder_mistakes",
        "a join fires once, and arms again": "building.a_join_in_a_loop_arms_again",
        "a join whose source never runs": "page A run that ends while a join",
        "conditional edges: results, maps, annotations": "building.conditional_edges",
        "conditional edges: names": ("building.builder_mistakes", "bad 25"),
        "conditional edges: wrong results": ("building.conditional_edges", "bad 76", "bad 77", "page Routing, `Send`"),
        "a branch sees its own node's writes only": "building.a_branch_sees_its_own_nodes_writes_only",
        "a branch sees what its node returned beyond the state": (
            "building.a_branch_sees_what_its_node_returned_beyond_the_state"
        ),
        "entry and finish points, sequences": (
            "unit/graph/test_state.py::test_entry_and_finish_points_are_edges",
            "building.builder_mistakes",
        ),
        "changes after compile": "lines.a_graph_is_not_changed_by_what_comes_later",
        "order of routing writes": "building.sends_beside_plain_nodes",
    },
    "1.4": {
        "what compile refuses": ("building.compile_mistakes", "page `compile` reports all problems"),
        "breakpoints in any form": (
            "threads.breakpoints",
            "unit/graph/test_declarations.py::test_breakpoints_in_all_the_forms_people_write",
        ),
        "checkpointer None, True, False": ("nesting.own_histories", "names.histories_that_nobody_keeps"),
        "what is not validated there": ("page What probably is not meant", "bad 21", "bad 22"),
        "an allow-list for what is decoded": "unit/wire/test_codec.py::test_decoding_imports_nothing",
        "JSON schemas": ("lines.schemas_of_a_graph", "names.schemas_of_a_graph_of_channels"),
        "nested graphs by name": "nesting.deep_nesting",
        "clear_cache": "keeping.forgotten_results",
        "graphs of channels": ("running.channel_graphs", "running.channel_graph_mistakes"),
        "a Runnable's methods": (
            "running.batches",
            "speaking.graphs_in_sequences",
            "moving.pipes_that_hand_on_pieces",
            "page A graph is no LangChain",
        ),
    },
    "1.5": {
        "LastValue: one write a superstep": "running.conflicting_writes",
        "reducers fold in the order of paths": "building.parallel_writes_are_applied_by_name",
        "EphemeralValue, UntrackedValue, AnyValue, Topic": "lines.channels_in_annotations",
        "channels by hand": "names.channels_by_hand",
        "joins and what waits for the end": (
            "unit/channels/test_named_barrier_value.py::test_a_deferred_join_waits_for_the_end_too"
        ),
        "what a checkpoint holds": ("threads.whole_snapshots", "page A checkpoint keeps versions"),
        "order of application": (
            "building.parallel_writes_are_applied_by_name",
            "building.sends_beside_plain_nodes",
            "unit/superstep/test_apply.py::test_deferred_channels_open_when_nothing_else_is_woken",
        ),
        "what triggers a node": "unit/superstep/test_plan.py::test_a_node_does_not_run_twice_for_one_wake",
        "versions differ between branches": (
            "unit/superstep/test_identity.py::test_versions_sort_and_differ_between_forks",
            "conformance/checkpoint/test_checkpoints.py::test_forks_of_one_checkpoint_do_not_see_each_others_values",
        ),
        "checkpoint ids sort by time, whatever the clocks": (
            "unit/superstep/test_identity.py::test_checkpoint_ids_sort_by_time_and_look_like_uuids"
        ),
        "a task's writes stand as a whole": (
            "conformance/checkpoint/test_writes.py::test_the_first_output_of_a_task_stands_as_a_whole",
            "conformance/checkpoint/test_writes.py::test_the_last_control_write_stands",
        ),
    },
    "1.6": {
        "ids of tasks": (
            "unit/superstep/test_identity.py::test_every_part_of_a_task_matters_to_its_id",
            "page Ids of tasks, checkpoints and interrupts",
        ),
        "a key of idempotency": "unit/superstep/test_identity.py::test_idempotency_keys_name_the_place_in_the_run",
        "namespaces, numbered from the second call on": "nesting.graphs_within_nodes",
    },
    "1.7": {
        "inputs of all kinds": ("running.inputs", "page `recursion_limit` must be"),
        "START is superstep 0": "threads.whole_snapshots",
        "new input discards what waits": "threads.new_input_discards_unfinished_tasks",
        "a finished thread and None": "threads.turns",
        "the same run id goes on": "threads.run_ids_make_inputs_idempotent",
        "Commands as input": ("running.commands_as_input", "page A `Command` that says nothing"),
        "defaults of stream and invoke": ("lines.streams_within_a_node", "running.invoke_with_other_modes"),
        "debug prints": "unit/graph/test_face.py::test_debug_prints_updates_and_values",
        "results, other modes, version v2": (
            "running.invoke_with_other_modes",
            "running.versions_two",
            "names.older_names",
        ),
        "async-only nodes without a loop": "running.async_nodes",
        "sync: siblings end, and keep their writes": "threads.failures_and_recovery",
        "async: siblings are cancelled": "running.async_failure_cancels_siblings",
        "notes of exceptions": "lines.notes_of_a_failure",
        "a node that cancels itself": "unit/engine/test_execute.py::test_a_node_that_cancels_itself_fails",
        "step_timeout": "running.step_timeouts",
        "max_concurrency": ("lines.a_limit_on_what_runs_at_a_time", "page A custom stream with `max_concurrency=1`"),
        "inputs of siblings share their parts": ("page Inputs of nodes are copies there",),
    },
    "1.8": {
        "what tracers record": "moving.what_tracers_record_of_a_node",
        "events that nobody hears, graphs on threads of their own": "moving.events_that_nobody_hears",
        "tools": "moving.tools_tell_what_they_do",
        "values": ("running.all_modes_of_a_line", "threads.asking_in_streams"),
        "updates": (
            "running.all_modes_of_a_line",
            "running.several_writes_to_one_key",
            "threads.breakpoints",
            "keeping.chunks_of_a_cached_result",
        ),
        "custom": ("running.custom_stream", "nesting.custom_streams_of_nested_graphs"),
        "messages": ("running.messages", "speaking.tokens", "speaking.tokens_of_nested_graphs"),
        "tasks": ("running.all_modes_of_a_line", "running.several_writes_to_one_key"),
        "checkpoints": "running.debug_stream",
        "debug": "running.debug_stream",
        "lists of modes": ("running.all_modes_of_a_line", "page A tuple of stream modes"),
        "subgraphs": "nesting.graphs_as_nodes",
        "version v2": "running.versions_two",
        "events of version 3": (
            *("projecting.events", "projecting.async_events", "projecting.projections", "projecting.interleaved"),
            *("projecting.runs_of_nested_graphs", "projecting.questions", "projecting.failures", "projecting.messages"),
            *("projecting.transformers_of_users", "projecting.left_early", "projecting.async_left_early"),
            "projecting.streams_in_place_of_a_graphs_own",
        ),
        "order within a superstep": (
            "running.all_modes_of_a_line",
            "differential/test_random_graphs.py::test_random_graphs_agree",
        ),
    },
    "1.9": {
        "configurable and other keys": (
            "running.configs",
            "unit/test_config.py::test_keys_that_name_a_thread_may_stand_beside_configurable",
            "page A key that a config does not have",
        ),
        "thread ids become text": ("lines.names_of_threads_are_texts", "page `thread_id` must have"),
        "scalars go to the metadata": "threads.whole_snapshots",
        "no thread with a saver": "threads.turns",
        "a thread of its own in a nested call": (
            "unit/engine/test_nested.py::test_a_graph_with_a_thread_of_its_own_is_no_part_of_the_run"
        ),
        "recursion limits": ("running.recursion_limits", "threads.recursion_can_be_continued"),
        "batches": ("running.batches", "page `batch` takes any iterable", "page Items of a batch that share"),
    },
    "1.10": {
        "sync, async, exit": "threads.durabilities",
        "without a saver": ("lines.durability_without_a_saver", 'page `durability="sync"` without a saver'),
        "a superstep is stored whole": "chaos/test_points.py::test_every_promise_holds_wherever_it_strikes",
    },
    "1.11": {
        "questions of before version 1": "moving.questions_stored_as_json",
        "answers and goto": "moving.questions_that_are_replaced",
        "answers after an edit, and in place of a task": "moving.nested_states_edited_before_they_are_answered",
        "answers are matched by order, the node runs again": "threads.asking",
        "siblings run to completion, live state shows them": "lines.live_and_recorded_states",
        "one value for one question; maps by id; other dicts; unknown ids": (
            "threads.several_questions",
            "threads.answers_of_all_kinds",
            "lines.answers_to_unknown_questions",
        ),
        "questions of one node from several OS threads": "threads.questions_from_several_os_threads",
        "invoke(None) asks again": ("threads.asking", "page An answer that names no question"),
        "without a saver": "threads.asking_without_a_saver",
        "breakpoints": (
            "threads.breakpoints",
            "threads.breakpoints_of_one_call",
            "threads.breakpoints_without_a_saver",
        ),
        "new input while asked": "lines.a_new_input_while_asked",
        "callbacks": ("threads.callbacks", "names.callbacks_that_fail"),
        "NodeInterrupt": "names.older_names",
    },
    "1.12": {
        "threads that do not exist": "moving.threads_that_do_not_exist",
        "get_state": ("threads.turns", "threads.whole_snapshots"),
        "errors of tasks are texts": "threads.failures_and_recovery",
        "history": ("threads.histories", "conformance/checkpoint/test_history.py::test_no_config_lists_all_threads"),
        "update_state: as a node, inferred, ambiguous, unknown": (
            "threads.updates",
            "threads.updates_follow_edges",
            "lines.an_update_where_a_join_is_complete",
            "threads.ambiguous_updates",
        ),
        "update_state: END, __input__, __copy__, a fresh thread": (
            "threads.updates_as_end",
            "threads.bulk_updates",
            "threads.copies",
            "lines.a_copy_with_updates",
            "threads.updates_of_fresh_threads",
        ),
        "bulk_update_state": "threads.bulk_updates",
        "time travel": (
            "threads.forks",
            "threads.forks_with_input",
            "threads.time_travel_with_questions",
            "names.a_replay_takes_nested_graphs_back",
        ),
    },
    "1.13": {
        "as a node, and called in one": ("nesting.graphs_as_nodes", "nesting.graphs_within_nodes"),
        "histories None, True, False": "nesting.own_histories",
        "found in closures": (
            "names.a_called_graph_has_a_state",
            "unit/graph/test_inside.py::test_where_graphs_are_found",
        ),
        "commands to the parent": ("nesting.commands_to_the_parent", "lines.a_command_for_a_parent_that_is_not_there"),
        "reducers of shared keys apply twice": "nesting.graphs_as_nodes",
        "streams carry the namespace": ("nesting.graphs_as_nodes", "nesting.deep_nesting"),
        "what had finished inside does not run again": (
            "nesting.failures_inside",
            "page A retry resumes a nested graph",
        ),
    },
    "1.14": {
        "Send: the whole input, any type": ("building.sends", "running.sends_in_streams"),
        "Send: to nowhere": ("bad 79", "page Routing, `Send`"),
        "Send: untracked parts are not stored": "lines.untracked_values",
        "Send: a timeout of its own": "unit/engine/test_limits.py::test_a_send_may_bring_its_own_limit",
        "Command: updates, goto beside edges": ("building.commands", "bad 80"),
    },
    "1.15": {
        "names of workflows": "moving.what_workflows_are_called",
        "tasks beside one that asks": "moving.tasks_beside_one_that_asks",
        "tasks and entrypoints": ("functional.a_workflow_and_its_stream", "functional.async_tasks"),
        "final, previous": "functional.results_are_kept_over_questions",
        "refused: generators, no parameter": "functional.what_is_refused",
        "matched by order, not run again": (
            "functional.results_are_kept_over_a_failure",
            "functional.a_workflow_in_a_workflow",
            "page A workflow that is tried again",
        ),
        "no deadlock": "page Parents that wait for tasks",
    },
    "1.16": {
        "Runtime": ("running.runtimes", "names.who_serves_the_run"),
        "context": "running.contexts",
        "outside of a run": "running.outside_of_a_run",
        "drain": "running.draining",
        "store": (
            "keeping.searches",
            "keeping.namespaces",
            "keeping.a_store_in_a_graph",
            "keeping.a_store_under_a_loop",
        ),
        "cache": ("keeping.a_result_is_used_again", "keeping.cached_under_a_loop"),
    },
    "1.17": {
        "RetryPolicy": ("running.retries", "functional.retries"),
        "what is retried by default": "unit/test_types.py::test_by_default_only_what_may_pass_is_tried_again",
        "jitter": "unit/engine/test_retry.py::test_jitter_adds_the_callers_noise",
        "time limits, and what counts as progress": (
            "unit/engine/test_limits.py::test_an_idle_limit_starts_anew_on_progress",
            "speaking.models_keep_a_node_from_being_idle",
        ),
        "a limit is a failure that is retried, what comes late is not looked at": (
            "unit/engine/test_limits.py::test_another_attempt_has_its_own_limit",
            "unit/engine/test_limits.py::test_what_a_node_does_after_its_time_is_not_looked_at",
        ),
        "sync nodes": "chaos/test_limits.py::test_a_node_that_hangs_is_stopped_at_its_limit",
    },
    "1.18": {
        "the errors": (
            "differential/test_surface.py::test_every_public_name_is_here_or_listed_as_left_out",
            "unit/test_errors.py::test_errors_are_caught_by_the_builtin_that_programs_expect",
            "page Errors have one base",
        ),
        "is_invalid_resume": "unit/test_errors.py::test_an_answer_that_did_not_fit_is_marked",
    },
    "1.19": {
        "finished siblings are not run again": "threads.failures_and_recovery",
        "what was cancelled or failed keeps control writes only": "running.async_failure_cancels_siblings",
        "a handler resumes with the error": (
            "unit/engine/test_handlers.py::test_a_handler_that_fails_fails_the_run_and_goes_on_from_there"
        ),
    },
    "1.20": {
        "drawings of workflows and loops": "moving.drawings_of_workflows",
        "nested graphs that are found": "moving.graphs_behind_attributes",
        "drawings": ("building.drawings", "page A drawing shows an edge to END", "page `to_json()` of a drawing"),
        "without any network": "unit/graph/test_pictures.py::test_a_notebook_shows_the_picture_where_it_can_be_drawn",
    },
    "1.21": {
        "what is broken there": (
            "page A tuple of stream modes",
            "page A `Command` that says nothing",
            'page `durability="sync"` without a saver',
            "page A builder with a default error handler",
            "bad 25",
            "bad 12",
            "page Routing, `Send`",
            "page A custom stream with `max_concurrency=1`",
            "page Items of a batch that share",
            "page An `Overwrite` is never itself the value",
        ),
    },
    "6": CHECKLIST,
}


def lines() -> list[Line]:
    """All lines, in order."""
    return [
        Line(section, says, (shown,) if isinstance(shown, str) else shown)
        for section, said in TABLE.items()
        for says, shown in said.items()
    ]
