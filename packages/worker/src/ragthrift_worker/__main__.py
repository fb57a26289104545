"""`ragthrift-worker serve`: the server on ONNX models of the catalogue or of folders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import uvicorn

from ragthrift.errors import ThriftError
from ragthrift.models import OnnxEmbedder, OnnxScorer
from ragthrift_worker.app import app


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code, once the server has stopped."""
    options = _parser().parse_args(arguments)
    try:
        scorer = OnnxScorer(options.model, max_tokens=options.max_tokens, threads=options.threads)
        embedder = OnnxEmbedder(options.embedder, threads=options.threads) if options.embedder else None
        scorer.score("ready?", ["ready"])  # a missing model ends here, with one line and not with a traceback
        if embedder is not None:
            embedder.embed(["ready"])
    except ThriftError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    served = app(scorer, embedder, name=options.model)
    uvicorn.run(served, host=options.host, port=options.port, log_level=options.log_level, access_log=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ragthrift-worker", description="A rerank and embedding server.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve until stopped")
    serve.add_argument("--model", default="ms-marco-MiniLM-L-12-v2-int8", help="cross-encoder: a name or a folder")
    serve.add_argument("--embedder", help="embedding model: a name or a folder (default: none)")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8080)
    serve.add_argument("--max-tokens", type=int, default=512, help="query and text together (default: 512)")
    serve.add_argument("--threads", type=int, help="texts scored at once (default: one per core)")
    serve.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
