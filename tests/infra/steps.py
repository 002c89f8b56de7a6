"""A story in steps, which are functions that say in their first line what they show: each is told, and the first that fails ends it."""
import sys, time, traceback


def tell(story, *steps, afterwards=lambda: None, why=lambda: ""):
    """`why` says more about a failure; `afterwards` is done in any case."""
    try:
        for step in steps:
            since = time.monotonic()
            try:
                step(story)
            except Exception as wrong:
                said = wrong if isinstance(wrong, AssertionError) else traceback.format_exc()
                print(f"FAILED  {step.__name__}: {step.__doc__}: {said}\n{why()}", flush=True)
                sys.exit(1)
            print(f"ok      {step.__name__}: {step.__doc__}, {time.monotonic() - since:.1f} s", flush=True)
    finally:
        afterwards()
