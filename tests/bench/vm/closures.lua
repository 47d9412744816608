local function compose(fs, x)
  for i = 1, #fs do x = fs[i](x) end
  return x
end
local function map(xs, f) local out = {} for i = 1, #xs do out[i] = f(xs[i]) end return out end
local function filter(xs, f) local out = {} for i = 1, #xs do local x = xs[i]; if f(x) then out[#out + 1] = x end end return out end
local function reduce(xs, a, f) for i = 1, #xs do a = f(a, xs[i]) end return a end
local function work(n)
  local total = 0
  for i = 0, n - 1 do
    local k = i % 10
    local fs = {function(x) return x + k end, function(x) return x * 2 end, function(x) return x - i end}
    total = total + compose(fs, i)
    total = total + reduce(filter(map({1, 2, 3, 4, 5}, function(x) return x * k end), function(x) return x > 5 end), 0, function(a, b) return a + b end)
  end
  return total
end
print(work(300000))
