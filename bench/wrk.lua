-- Goes round over the paths given after `--`, or, with `@FILE` as their last, over the header fields that are the lines of the
-- file, and prints one line of JSON at the end.

local requests, position = {}, 0

function init(arguments)
   local file = arguments[#arguments]:match("^@(.+)")
   if file then
      for line in io.lines(file) do
         local name, value = line:match("^([^:]+): (.+)$")
         requests[#requests + 1] = wrk.format("GET", arguments[1], { [name] = value })
      end
      return
   end
   for index, path in ipairs(arguments) do
      requests[index] = wrk.format("GET", path)
   end
end

function request()
   position = position % #requests + 1
   return requests[position]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"requests": %d, "bytes": %d, "microseconds": %d, "p50": %d, "p99": %d, '
      .. '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
      summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
