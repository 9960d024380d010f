"""Which addresses a filter of fail2ban finds in a log.

Its arguments are the filter and the log. It prints a JSON list of those of each way that fail2ban sees a line: as it stands,
without its time (as of a file) and behind the words of the journal.
"""

import configparser
import json
import re
import sys

filters = configparser.ConfigParser(interpolation=None)
filters.read(sys.argv[1])
# Anything may stand where an address is wanted: that makes forging easier, not harder.
lines = filters["Definition"]["failregex"].replace("<ADDR>", r'([^\s"]+)').strip().splitlines()
wanted = [re.compile(line.strip()) for line in lines]
time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
ways = (
    lambda line: line,
    lambda line: time.sub("", line, count=1),
    lambda line: f"gateway tandem-b2bua[77]: {line}",
)
with open(sys.argv[2], encoding="utf-8") as log:
    told = log.readlines()
found = [[one[1] for line in told for regex in wanted if (one := regex.search(way(line)))] for way in ways]
print(json.dumps(found))
