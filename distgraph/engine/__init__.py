"""The in-process shell: run a program here and now.

    call       whatever users give as a node or branch, called with what it asks for
    scope      what one execution of a node can see: its config and Runtime, made when asked for
    execute    one attempt of one task
    retry      the decision to try again, and the loop that does
    request    what a caller asks for
    opening    input, None or Command + stored checkpoint -> where the run starts
    session    one run, without any waiting
    streams    chunks of the stream modes
    sync aio   thin loops around a session
    states     the state API over a saver
"""
