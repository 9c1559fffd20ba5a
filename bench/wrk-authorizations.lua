-- Asks with each Authorization of a file in turn, one a line.
local requests, at = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    wrk.headers["Authorization"] = line
    requests[#requests + 1] = wrk.format()
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
