#!/usr/bin/env bash
# Runs `pgadvise check` in a GitHub workflow: annotations, the job summary, and
# one comment that is kept up to date. The inputs of action.yml arrive in
# INPUT_…; PGADVISE is the program.
set -euo pipefail

notice() { printf '::notice title=pgadvise::%s\n' "$1"; }
warning() { printf '::warning title=pgadvise::%s\n' "$1"; }

# Puts each line that is not empty behind the option, if there is one.
lines() {
    local option=$1 text=$2 line
    while IFS= read -r line; do
        line=${line%$'\r'}
        [ -n "$line" ] || continue
        [ -z "$option" ] || args+=("$option")
        args+=("$line")
    done <<<"$text"
}

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
report=${RUNNER_TEMP:-$temporary}/pgadvise-report.json

args=(check --format github --output "json=$report" --output "markdown=$temporary/comment.md")
lines "" "${INPUT_PATHS:-migrations}"

since=${INPUT_SINCE:-}
if [ -z "$since" ] && [ -n "${GITHUB_BASE_REF:-}" ]; then
    since="origin/$GITHUB_BASE_REF"
    # The usual checkout has one commit and no other branch: what is new can
    # only be told from where the branches parted.
    if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
        git fetch --quiet --no-tags --unshallow --filter=blob:none origin
    fi
    git fetch --quiet --no-tags origin "+refs/heads/$GITHUB_BASE_REF:refs/remotes/origin/$GITHUB_BASE_REF"
fi
lines --since "$since"
lines --pg-version "${INPUT_PG_VERSION:-}"
lines --framework "${INPUT_FRAMEWORK:-}"
lines --snapshot "${INPUT_SNAPSHOT:-}"
lines --workload "${INPUT_WORKLOAD:-}"
lines --fail-on "${INPUT_FAIL_ON:-}"
lines --baseline "${INPUT_BASELINE:-}"
[ "${INPUT_TRACE:-false}" != true ] || args+=(--trace)
[ -z "${INPUT_SARIF:-}" ] || args+=(--output "sarif=$INPUT_SARIF")
lines "" "${INPUT_ARGS:-}"

code=0
"$PGADVISE" "${args[@]}" || code=$?

if [ -n "${GITHUB_OUTPUT:-}" ]; then
    printf 'exit-code=%s\nreport=%s\n' "$code" "$report" >>"$GITHUB_OUTPUT"
fi

# A token of a fork may not write: the job summary has the same text, so that a
# comment that cannot be written fails nothing.
comment() {
    local marker='<!-- pgadvise check -->' issue="repos/$GITHUB_REPOSITORY/issues" id
    id=$(gh api --paginate "$issue/$PULL_REQUEST/comments" \
        --jq ".[] | select(.body | startswith(\"$marker\")) | .id" | head -n 1)
    if [ -n "$id" ]; then
        gh api --silent --method PATCH "$issue/comments/$id" -F "body=@$temporary/comment.md"
    else
        gh api --silent --method POST "$issue/$PULL_REQUEST/comments" -F "body=@$temporary/comment.md"
    fi
}
if [ "${INPUT_COMMENT:-false}" = true ]; then
    if [ -z "${PULL_REQUEST:-}" ]; then
        notice "no comment was written: this run belongs to no pull request"
    elif [ ! -s "$temporary/comment.md" ]; then
        warning "no comment was written: there is no report"
    elif ! comment; then
        warning "the comment could not be written (a fork's token may not); the job summary has the report"
    fi
fi

exit "$code"
