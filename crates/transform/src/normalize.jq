# What normalisation is made of. Fields that are not there are left alone.

# Changes what is at a path: names of fields, and [] for every item of an array.
def at_path($path; f):
  if $path == [] then f
  elif $path[0] == [] then if isarray then map(at_path($path[1:]; f)) else . end
  elif isobject and has($path[0]) then .[$path[0]] |= at_path($path[1:]; f)
  else . end;

def named($name; f): try f catch error("\($name): \(.)");

def rename_field($from; $to):
  if isobject and has($from) then with_entries(if .key == $from then .key = $to else . end) else . end;
def remove_field($name): if isobject then del(.[$name]) else . end;
def default_field($name; $value): if isobject and .[$name] == null then .[$name] = $value else . end;
def all_keys(f):
  if isarray then map(all_keys(f))
  elif isobject then with_entries((.key |= f) | (.value |= all_keys(f)))
  else . end;

def as_string: if . == null or isstring then . else tostring end;
def as_number:
  if . == null or isnumber then .
  elif isstring then (try (trim | tonumber) catch error("not a number"))
  elif isboolean then (if . then 1 else 0 end)
  else error("not a number") end;
def as_integer: as_number | if . == null then . elif floor == . then floor else error("not an integer") end;
def as_boolean:
  if . == null or isboolean then .
  elif . == 1 then true
  elif . == 0 then false
  elif isstring then
    (trim | ascii_downcase) as $word
    | if ["true", "yes", "on", "1"] | any(. == $word) then true
      elif ["false", "no", "off", "0"] | any(. == $word) then false
      else error("not a boolean") end
  else error("not a boolean") end;
def as_array: if . == null or isarray then . else [.] end;

def date_from_seconds: if . == null then . else as_number | todate end;
def date_from_milliseconds: if . == null then . else as_number | . / 1000 | todate end;
def date_from($format): if . == null then . else strptime($format) | mktime | todate end;
