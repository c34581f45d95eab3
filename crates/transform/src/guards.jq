# What is asked before a function of the standard library runs that cannot be stopped, or that takes
# numbers for granted.
def matches($re; $flags): regex_guard($re) | unguarded_matches($re; $flags);
def split_matches($re; $flags): regex_guard($re) | unguarded_split_matches($re; $flags);
def split_($re; $flags): regex_guard($re) | unguarded_split_($re; $flags);
def strftime($format): time_guard | unguarded_strftime($format);
def gmtime: time_guard | unguarded_gmtime;
def mktime: time_guard | unguarded_mktime;
def todateiso8601: time_guard | unguarded_todateiso8601;
