"""What tools/bsbr_study and tools/architecture_study share: rows that are trained and measured, two at a time if there
are two cores, each on one thread, and their tables.

A row is a name, a base config of configs/ and what it overrides there. One that is done is left alone, one that was
stopped goes on from its last checkpoint: the same command can be given, and stopped, at any time. {runs} in an override
is the folder of all runs.
"""
import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import re
import signal
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent

TABLES = {
    "results": ["row", "seed", "seq_len", "steps", "tokens", "loss", "exact_match", "keys_read",
                "tokens_per_processor_second", "peak_memory_mib"],
    "curves": ["row", "step", "tokens", "valid_loss"],
    "by_position": ["row", "from", "to", "tokens", "mean_nll"],
    "by_distance": ["row", "from", "to", "answers", "exact_match", "token_accuracy"],
}


class Rows:
    """Name -> (config, overrides), the most telling first."""

    def __init__(self):
        self.table = {}

    def add(self, group, config, common="", **variants):
        for name, overrides in variants.items():
            self.table[f"{group}/{name}"] = (config, f"{common} {overrides}")


def log_lines(run):
    try:
        with open(run / "metrics.csv", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


def config_value(run, section, key):
    text = (run / "config.ini").read_text()
    return re.search(rf"^\[{section}\]$.*?^{key} = (\S*)", text, re.M | re.S).group(1)


def is_trained(run):
    lines = log_lines(run)
    return bool(lines) and (run / "last.h5").exists() and int(lines[-1]["step"]) >= int(
        config_value(run, "train", "max_steps"))


def task_of(run):
    return config_value(run, "data", "task")


class Stopped(Exception):
    pass


class Study:
    """`measures(args, run)` names the files that a trained row leads to beside eval.json, and the command of each."""

    def __init__(self, rows, args, measures):
        self.rows = rows
        self.args = args
        self.measures = measures
        self.running = set()
        self.lock = threading.Lock()
        self.stopped = False

    def stop(self, *_):
        """Ends the trainings, which save where they are."""
        self.stopped = True
        for process in list(self.running):
            process.terminate()

    def call(self, run, *command):
        """Runs the program: its exit status and processor seconds."""
        with open(f"{run}.log", "a") as log:
            with self.lock:
                if self.stopped:
                    raise Stopped
                process = subprocess.Popen([self.args.program, *map(str, command)], stdout=log, stderr=log)
                self.running.add(process)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.running.discard(process)
        return process.returncode, usage.ru_utime + usage.ru_stime

    def train(self, name, run):
        config, overrides = self.rows[name]
        words = [part for pair in overrides.format(runs=self.args.runs).split() for part in ("--" + pair).split("=", 1)]
        mode = "--resume" if (run / "last.h5").exists() else "--overwrite"
        if "\ntask = " not in (ROOT / "configs" / config).read_text():
            words += ["--data.tokens", self.args.tokens]
        status, seconds = self.call(run, "train", "--config", ROOT / "configs" / config, *words, "--train.out", run,
                                    "--run.threads", "1", mode)
        if status == 0 and mode == "--overwrite":  # the whole run in one go
            (run / "processor_seconds").write_text(f"{seconds:.1f}\n")
        return status

    def evaluation(self, run):
        command = ["eval", "--checkpoint", run / "last.h5"]
        if task_of(run) == "passkey":
            length = config_value(run, "data", "seq_len")
            return [*command, "--sequences", 160, "--seq-len", 8192 if length == "2048" else length]
        if task_of(run):
            return [*command, "--sequences", 512]
        return [*command, "--tokens", self.args.tokens, "--by-position", 16, "--max-tokens", 262144]

    def row(self, name):
        run = self.args.runs / name
        run.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not is_trained(run):
                status = self.train(name, run)
                if status != 0:
                    return f"{name}: training ended with exit status {status}, see {run}.log"
            if not self.args.evaluate:
                return f"{name}: trained"
            for file, command in {"eval.json": self.evaluation(run), **self.measures(self.args, run)}.items():
                if (run / file).exists():
                    continue
                if self.call(run, *command, "--run.threads", 1, "--json", run / file)[0] != 0:
                    return f"{name}: trained, but there is no {file}, see {run}.log"
        except Stopped:
            return f"{name}: waits"
        return f"{name}: done"

    def run(self):
        names = [name for name in self.rows if re.search(self.args.rows, name)]
        with concurrent.futures.ThreadPoolExecutor(self.args.workers) as pool:
            for future in concurrent.futures.as_completed([pool.submit(self.row, name) for name in names]):
                print(future.result(), flush=True)


def inspected(args, run, *words):
    """What `inspect` says of the trained model."""
    shown = subprocess.run([args.program, "inspect", run / "last.h5", "--json", "-", *words], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, check=True)
    return json.loads(shown.stdout)


def write_csv(path, columns, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)


def read_csv(path):
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def markdown(header, lines):
    return "\n".join(["| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *lines]]) + "\n"


def result(name, run, evaluated):
    log = log_lines(run)
    timed = run / "processor_seconds"
    seconds = float(timed.read_text()) if timed.exists() else None
    tokens = int(log[-1]["tokens"])
    return {
        "row": name, "seed": config_value(run, "run", "seed"), "seq_len": config_value(run, "data", "seq_len"),
        "steps": log[-1]["step"], "tokens": tokens, "loss": f"{evaluated['mean_nll']:.4f}",
        "exact_match": evaluated.get("exact_match", ""),
        "keys_read": f"{evaluated.get('keys_read_share') or 0:.4f}",
        "tokens_per_processor_second": f"{tokens / seconds:.0f}" if seconds else "",
        "peak_memory_mib": f"{int(log[-1]['peak_memory_bytes']) / 2**20:.0f}",
    }


def collect(rows, args, results, more_of):
    """The tables of what is done, as CSV files in the folder `results`. `more_of(args, run)` has further columns of
    results.csv. Rows of earlier collections that have no run folder here are kept."""
    done = {name: args.runs / name for name in rows if (args.runs / name / "eval.json").exists()}
    tables = {table: [] for table in TABLES}
    columns = dict(TABLES)
    for name, run in done.items():
        evaluated = json.loads((run / "eval.json").read_text())
        more = more_of(args, run)
        columns["results"] = TABLES["results"] + list(more)
        tables["results"].append({**result(name, run, evaluated), **more})
        tables["curves"] += [{"row": name, **line} for line in log_lines(run) if line["valid_loss"]]
        for table in ("by_position", "by_distance"):
            tables[table] += [{"row": name, **line} for line in evaluated.get(table, [])]
    order = {name: place for place, name in enumerate(rows)}
    for table, lines in tables.items():
        path = results / f"{table}.csv"
        lines += [line for line in read_csv(path) if line["row"] in order and line["row"] not in done]
        lines.sort(key=lambda line: order[line["row"]])
        write_csv(path, columns[table], lines)


def arguments(doc, runs):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=pathlib.Path, help="token file of the text")
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs" / runs)
    parser.add_argument("--program", default=ROOT / "build/tapestry")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="rows at a time, a thread each")
    parser.add_argument("--rows", default="", help="regular expression: only rows whose names it finds")
    parser.add_argument("--evaluate", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--collect", action="store_true", help="only write the tables of what is done")
    args = parser.parse_args()
    if not args.collect and not args.tokens:
        parser.error("--tokens is needed")
    return args


def run(rows, args, measures=lambda args, run: {}):
    os.environ["OMP_WAIT_POLICY"] = "passive"
    study = Study(rows, args, measures)
    signal.signal(signal.SIGTERM, study.stop)
    signal.signal(signal.SIGINT, study.stop)
    study.run()
