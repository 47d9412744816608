local function split(s)
  local out, n = {}, 0
  for piece in s:gmatch("[^,]+") do n = n + 1; out[n] = piece end
  return out
end
local function build(n)
  local total = 0
  for round = 1, 3 do
    local parts = {}
    for i = 0, n - 1 do parts[#parts + 1] = tostring(i) end
    local joined = table.concat(parts, ",")
    local back = split(joined)
    total = total + #back + #joined
  end
  for i = 1, 2000 do
    local s = ""
    for j = 0, 199 do s = s .. "x" .. j end
    total = total + #s
  end
  return total
end
print(build(300000))
