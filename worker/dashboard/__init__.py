"""Shows jobs and workers in a browser, and steers jobs; of the extra `outlast[dashboard]`.

    app.py      the routes
    guard.py    before every answer: who may look, and who may steer
    login.py    the token; sessions.py and attempts.py what is remembered of it
    rendering.py    the templates
    listing.py  one page of jobs; pages.py the pages of jobs
    workers.py  who works at what; hour.py what the last hour brought; workers_page.py their page
    live.py     changes, sent to all viewers
    steering.py the buttons
    plot.py     a job's course as SVG
    words.py    numbers and foreign texts for people
    serve.py, connection.py    the server process, and its connections

Only `outlast dashboard` imports this package.
"""
