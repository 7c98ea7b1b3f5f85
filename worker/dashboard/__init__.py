"""The page that shows jobs and steers them; installed with the extra `outlast[dashboard]`.

    app.py      the routes
    guard.py    the login, and the defence against other sites
    listing.py  one page of jobs
    pages.py    records as HTML
    live.py     changes, sent to all viewers
    steering.py the buttons
    plot.py     a job's course as SVG
    words.py    numbers and foreign texts for people
    serve.py    the server process

Only `outlast dashboard` imports this package.
"""
