"""The page that shows jobs and steers them; installed with the extra `outlast[dashboard]`.

    app.py      the addresses, and what answers at each
    guard.py    who may look, and that a click was meant
    listing.py  one page of jobs
    pages.py    records as HTML
    live.py     what has changed, to all who look
    steering.py the buttons
    plot.py     a job's course as SVG
    words.py    numbers and foreign texts for people
    serve.py    the process

Nothing here is imported before somebody asks for the page.
"""
