"""One job on many workers: its parts, and how they are cut, called and added up.

cutting.py       the plan, and where one part ends and the next begins
call.py          the messages of all open parts, by whoever has the job's message
part_turn.py     what to do with a message for a part
claimed_part.py  a part that this worker has claimed
part_kernel.py   a part's computation as a kernel of its own
adding_up.py     the groups that a part completes, up to the job's end
failing.py       the end of a job one of whose parts cannot go on
last_cut.py      how the last job was cut
plan.py          its plan, if it fits the kernel that is installed here
"""
