# An image with pgadvise, git (for --since) and the embedded PostgreSQL:
#
#   docker build -t pgadvise .
#   docker run --rm -v "$PWD:/work" pgadvise check migrations/
#
# docs/ci-docker.md says what was tried of it.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock askama.toml ./
COPY src src
COPY docs docs
COPY benches benches
COPY tests tests
COPY fixtures fixtures
RUN cargo build --release --locked --bin pgadvise

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 pgadvise \
    # The mounted project belongs to another user, which git refuses otherwise.
    && git config --system --add safe.directory '*'
COPY --from=build /src/target/release/pgadvise /usr/local/bin/pgadvise
USER pgadvise
WORKDIR /work
ENTRYPOINT ["pgadvise"]
CMD ["--help"]
