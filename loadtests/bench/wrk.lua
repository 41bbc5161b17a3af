-- What wrk posts: the file and the headers ("name: value") that come after its address; and what it says in the end.

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method, wrk.body = "POST", file:read("*a")
  file:close()
  for index = 2, #arguments do
    local name, value = arguments[index]:match("^(.-): (.*)$")
    wrk.headers[name] = value
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "duration_us": %d, "mean_us": %f, "statuses": %d, "connections": %d, "timeouts": %d}\n',
    summary.requests, summary.duration, latency.mean, errors.status, errors.connect + errors.read + errors.write,
    errors.timeout
  ))
end
