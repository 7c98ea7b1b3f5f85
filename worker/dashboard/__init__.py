"""The pages that show jobs and workers and steer jobs; installed with the extra `outlast[dashboard]`.

    app.py      the routes
    guard.py    before every answer: who may look, and who may steer
    login.py    the token; sessions.py and attempts.py what is remembered of it
    listing.py  one page of jobs
    rendering.py  the templates; pages.py the pages of jobs
    workers.py  who works at what, and hour.py what the last hour brought; workers_page.py both as HTML
    live.py     changes, sent to all viewers
    steering.py the buttons
    plot.py     a job's course as SVG
    words.py    numbers and foreign texts for people
    serve.py, connection.py    the server process, and its connections

Only `outlast dashboard` imports this package.
"""
