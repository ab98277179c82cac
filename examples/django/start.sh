#!/bin/bash
# Runs the web server and the worker. When either ends, so does the other, and
# with them the container, which is then started again. SIGTERM ends both.
trap 'stopped=1; kill $(jobs -p)' TERM INT

# One process with threads: the key that settings.py makes at start is known to all.
gunicorn --bind "0.0.0.0:${PORT:-8000}" --preload --threads 4 --worker-tmp-dir /dev/shm --access-logfile - guestbook.wsgi &
python3 manage.py worker &

wait -n
status=$?
kill $(jobs -p) 2>/dev/null
wait
exit $((stopped ? 0 : status))
