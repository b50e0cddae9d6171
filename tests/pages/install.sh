#!/bin/sh
# What `make pages` needs on Debian and its kin: a browser, and pdflatex with its usual packages.
set -eu
as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"
$as_root apt-get update
DEBIAN_FRONTEND=noninteractive $as_root apt-get install --no-install-recommends --yes \
    chromium lmodern poppler-utils texlive-latex-base texlive-latex-recommended
