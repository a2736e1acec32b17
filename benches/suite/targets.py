"""What RESULTS.md is held against: each target with what was measured, what limits it, and for
those that are not met what stands in the way (as profiles showed it)."""

from .table import ratio, seconds, size

CALL = (
    "each call also renders a prompt, hashes its request, reads and stores its answer, which is on the "
    "disk before it is used, and writes a line; and two processes share the cores"
)
NOOP = (
    "of the graph with 3,000 nodes a third of the time is the kernel's (seven calls for each source with its output, "
    "and clearing memory) and a sixth the program's start and end; of the rest reading YAML takes an eighth, and what "
    "keys are made of, checking settings and planning, which the processors share, about a fifth each"
)
CANDLE = (
    "about two thirds of the time are gemm's AVX-512 kernels; the rest is its packing, copies of queries, keys and "
    "values by head, and softmax, GELU and norms between the products"
)


def rows(results):
    """Target, measured, met or not, the limit and what stands in the way. Of suites that have
    run, and of peers that were there."""
    found = []
    for name, of_suite in (("calls", calls), ("dag", dag), ("metrics", metrics), ("data", data)):
        if name in results:
            found += [row(*one) for one in of_suite(results[name])]
    return found


def row(target, measured, met, limit, way=None):
    words = limit if met or not way else f"{limit}. In the way: {way}"
    return [target, measured, "met" if met else "not met", words]


def pick(result, **wanted):
    """The row with these values, if there is one."""
    fits = (row for row in result["rows"] if all(row.get(k) == v for k, v in wanted.items()))
    return next(fits, None)


def calls(result):
    few, many = sorted({row["calls"] for row in result["rows"]})
    loop = "the bare loop: the same HTTP client without a pipeline, a cache or a file"
    for count in (few, many):
        ours, bare = [
            pick(result, tool=tool, calls=count, latency=0, what="first")
            for tool in ("clue", "bare loop in Rust")
        ]
        share = bare["wall"] / ours["wall"]
        yield (
            f"{count:,} calls at 0 ms: 80 % of the bare loop's rate", f"{share:.0%}", share >= 0.8,
            f"{loop}; it makes them in {seconds(bare['wall'])} with {seconds(bare['cpu'])} of CPU on "
            "cores that the server shares, so that every microsecond of CPU a call shows",
            CALL,
        )
    extra = (ours["cpu"] - bare["cpu"]) / many
    yield (
        "a call costs less than 50 µs of CPU over the bare loop's, cache write included",
        seconds(extra), extra < 50e-6,
        f"{loop}: {seconds(bare['cpu'] / many)} a call",
    )
    ours = pick(result, tool="clue", calls=few, latency=0, what="first")
    for peer in ("Inspect AI", "lm-evaluation-harness"):
        theirs = pick(result, tool=peer, calls=few, latency=0, what="first")
        if theirs:
            times = theirs["wall"] / ours["wall"]
            yield f"20× {peer} at 0 ms", ratio(times), times >= 20, "the bare loop, as above"
    again = pick(result, tool="clue", calls=few, latency=0, what="again")["wall"]
    yield (
        f"a cached rerun of {few:,} calls under 100 ms", seconds(again), again < 0.1,
        "hashing the documents and finding that nothing changed",
    )


def dag(result):
    for shape, words in (("independent", "each with a source and an output"), ("layers", "ten layers of a hundred")):
        ours, ninja = [pick(result, shape=shape, tool=tool) for tool in ("clue", "ninja")]
        noop = ours["noop"]["wall"]
        yield (
            f"nothing to do in {ours['stages']:,} stages, {words}: under 30 ms", seconds(noop), noop < 0.03,
            "reading the pipeline's YAML with places for messages, and a look at each source and output",
            NOOP,
        )
        if ninja:
            times = noop / ninja["noop"]["wall"]
            yield (
                "the same: within 3× ninja", ratio(times), times <= 3,
                f"ninja: {seconds(ninja['noop']['wall'])} for a look at the time of each file",
                NOOP,
            )
    start = next(row for row in result["starts"] if row["tool"] == "clue")["wall"]
    least = next(row for row in result["starts"] if row["tool"] == "true")["wall"]
    yield "start-up under 5 ms", seconds(start), start < 0.005, f"`true`: {seconds(least)}"


def metrics(result):
    for metric in ("ROUGE", "ROUGE with stems"):
        ours = pick(result, metric=metric, tool="clue, the metric alone")
        theirs = pick(result, metric=metric, tool="rouge-score")
        if theirs:
            times = ours["rate"] / theirs["rate"]
            yield (
                f"{metric}: 50× rouge-score on one core", ratio(times), times >= 50,
                "finding the words of a text and numbering them",
            )
    for cores in sorted({row["cores"] for row in result["rows"] if row["metric"] == "BERTScore"}):
        ours = pick(result, metric="BERTScore", cores=cores, tool="clue, a run with all it takes")
        theirs = pick(result, metric="BERTScore", cores=cores, tool="bert-score, once it is loaded")
        limit = pick(result, metric="BERTScore", cores=cores, tool="limit: the model's matrix products")
        if theirs:
            times = ours["rate"] / theirs["rate"]
            yield (
                f"BERTScore on {'one core' if cores == 1 else f'{cores} cores'}: no slower than bert-score", ratio(times), times >= 1,
                f"the model's matrix products at PyTorch's best rate, {limit['gflops']:.0f} GFLOP/s: {limit['rate']:.0f} pairs/s",
                CANDLE,
            )


def data(result):
    ours = pick(result, job="filter", gz=False, tool="clue")
    least = pick(result, job="filter", gz=False, tool="limit: cat")
    rate = lambda row: row["bytes"] / row["cpu"] / 1e6
    yield (
        "filter: over 300 MB/s a core", f"{rate(ours):.0f} MB/s", rate(ours) > 300,
        f"`cat`, which looks at nothing: {rate(least):,.0f} MB/s",
    )
    yield "filter: under 150 MB", size(ours["rss"]), ours["rss"] < 150e6, "a batch of notes at each step"
    ours = pick(result, job="shuffle", tool="clue")
    yield (
        "shuffle in CPython's order: under 500 MB", size(ours["rss"]), ours["rss"] < 500e6,
        "a place on disk for each note",
    )
