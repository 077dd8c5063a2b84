"""The in-process shell: run a program here and now.

    call       whatever users give as a node or branch, called with what it asks for
    context    what all tasks of a run share
    scope      what one execution of a node can see: its config and Runtime, made when asked for
    answers    answers that must have a form
    execute    one attempt of one task
    limits     time limits of one attempt of an async node
    retry      the decision to try again, and the loops that do
    request    what a caller asks for
    place      where a run takes place: config, namespace, thread, saver; at the root or inside a node
    opening    input, None or Command + stored checkpoint -> where the run starts
    session    one run, without any waiting
    adoption   tasks that nodes call, as part of a session
    children, loop_children   where they run, and who waits for them
    caching    results of nodes that are used again
    streams    chunks of the stream modes
    mutation   finding nodes that change their input in place
    events     what callback handlers are told
    messages   messages in what nodes read and return
    tokens     live output of chat models that nodes call
    savers     calls of a saver that a decision needs, made in either colour
    sync, aio  thin loops around a session
    states     the state API over a saver
    updates    changing a thread from outside

The cluster runs tasks through ``execute`` and decides with ``retry``; the rest is for runs of one process.
"""
