local function circle(r) return {type = "Circle", r = r} end
local function square(s) return {type = "Square", side = s} end
local function rect(w, h) return {type = "Rect", w = w, h = h} end
local function area(s)
  if type(s) == "table" then
    local t = s.type
    if t == "Circle" then return 3 * s.r * s.r end
    if t == "Square" then return s.side * s.side end
    if t == "Rect" then if s.w == s.h then return s.w * s.h * 2 end return s.w * s.h end
    if #s == 2 then return s[1] - s[2] end
    if s.kind == "dot" then return s.size end
    return 0
  end
  if s == 0 or s == 1 then return 1 end
  return s
end
local function work(n)
  local shapes = {circle(2), square(3), rect(2, 5), rect(4, 4), {9, 4}, {kind = "dot", size = 7}, 1, 12}
  local total = 0
  for i = 0, n - 1 do total = total + area(shapes[i % 8 + 1]) end
  return total
end
print(work(5000000))
